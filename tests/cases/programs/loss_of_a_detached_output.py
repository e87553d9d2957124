# bug: detached
import torch
import torch.nn as nn

torch.manual_seed(0)
model = nn.Linear(3, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
x = torch.randn(10, 3)
y = torch.randn(10, 1)

history = []
for epoch in range(5):
    output = model(x).detach()  # <-- cause
    history.append(output.mean())
    loss = nn.MSELoss()(output, y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

print(history)
