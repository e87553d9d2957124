# bug: inplace-expanded
import torch
import torch.nn as nn

torch.manual_seed(0)
lin = nn.Linear(3, 4)
opt = torch.optim.SGD(lin.parameters(), lr=0.1)
x = torch.randn(5, 3)
offset = torch.zeros(1, 4).expand(5, 4)  # <-- cause
for i in range(3):
    offset += 0.1 * i  # <-- cause
    loss = (lin(x) + offset).pow(2).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(i, loss.item())
