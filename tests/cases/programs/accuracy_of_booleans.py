# bug: integer-mean
import torch
import torch.nn as nn

torch.manual_seed(0)
x = torch.randn(25, 4)
y = torch.randint(0, 3, (25,))
model = nn.Linear(4, 3)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for epoch in range(3):
    logits = model(x)
    loss = nn.functional.cross_entropy(logits, y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    accuracy = (logits.argmax(dim=1) == y).mean()  # <-- cause
    print(epoch, loss.item(), accuracy.item())
