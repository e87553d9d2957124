# right
import copy

import torch
import torch.nn as nn

torch.manual_seed(0)
meta = nn.Sequential(nn.Linear(1, 16), nn.Tanh(), nn.Linear(16, 1))
epsilon = 0.3
for iteration in range(4):
    amplitude, phase = 1 + torch.rand(1), 3 * torch.rand(1)
    fast = copy.deepcopy(meta)
    opt = torch.optim.SGD(fast.parameters(), lr=0.02)
    for _ in range(5):
        x = torch.rand(10, 1) * 4 - 2
        loss = nn.functional.mse_loss(fast(x), amplitude * torch.sin(x + phase))
        opt.zero_grad()
        loss.backward()
        opt.step()
    with torch.no_grad():
        for p, q in zip(meta.parameters(), fast.parameters()):
            p += epsilon * (q - p)
    print(iteration, loss.item())
