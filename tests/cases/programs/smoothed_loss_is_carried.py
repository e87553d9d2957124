# bug: carried-state|backward-twice
import torch
from torch import nn

torch.manual_seed(0)
net = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1))
opt = torch.optim.SGD(net.parameters(), lr=0.05)
running = torch.tensor(0.0)

for step in range(6):
    x = torch.randn(12, 3)
    y = (x[:, :1] * 2 - x[:, 1:2]).tanh()
    mse = nn.functional.mse_loss(net(x), y)
    # train on the exponential average, it is less noisy
    running = 0.9 * running + 0.1 * mse  # <-- cause
    opt.zero_grad()
    running.backward()  # <-- cause
    opt.step()
    print(step, mse.item(), running.item())
