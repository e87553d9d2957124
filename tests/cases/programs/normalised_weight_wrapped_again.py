# bug: parameter-copy
import torch
import torch.nn as nn

torch.manual_seed(0)
x = torch.randn(40, 4)
y = x @ torch.tensor([[1.0], [2.0], [0.0], [-1.0]])
v = nn.Parameter(torch.randn(4, 1))
g = nn.Parameter(torch.ones(1))
opt = torch.optim.SGD([v, g], lr=0.05)

for step in range(6):
    direction = nn.Parameter(v / v.norm())  # <-- cause
    pred = x @ (g * direction)
    loss = ((pred - y) ** 2).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(step, loss.item(), g.item())
