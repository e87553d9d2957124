# bug: wrong-cure
import torch
import torch.nn as nn

torch.manual_seed(0)
model = nn.Linear(4, 3)
w0 = model.weight.detach().clone()
opt = torch.optim.SGD(model.parameters(), lr=0.1)
x = torch.randn(12, 4)
y = torch.randint(0, 3, (12,))
for epoch in range(5):
    pred = model(x).argmax(1)
    loss = (pred != y).float().mean()
    loss.requires_grad = True  # <-- cause
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(epoch, loss.item())
