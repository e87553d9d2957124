# bug: not-differentiable|step-activation
import torch
import torch.nn as nn

torch.manual_seed(0)
expert1, expert2 = nn.Linear(4, 2), nn.Linear(4, 2)
gate = nn.Linear(4, 1)
params = [*expert1.parameters(), *expert2.parameters(), *gate.parameters()]
opt = torch.optim.Adam(params, lr=0.02)
x = torch.randn(30, 4)
y = torch.where(x[:, :1] > 0, x[:, :2], -x[:, 2:])

for i in range(5):
    chosen = (gate(x) > 0).float()  # <-- cause
    out = chosen * expert1(x) + (1 - chosen) * expert2(x)
    loss = nn.functional.mse_loss(out, y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(i, loss.item())
