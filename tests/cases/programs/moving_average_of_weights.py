# right
import copy

import torch
import torch.nn as nn


class EMA:
    def __init__(self, model, decay=0.9):
        self.shadow = copy.deepcopy(model)
        self.decay = decay
        for p in self.shadow.parameters():
            p.requires_grad_(False)

    @torch.no_grad()
    def update(self, model):
        for s, p in zip(self.shadow.parameters(), model.parameters()):
            s.mul_(self.decay).add_(p, alpha=1 - self.decay)
        for s, b in zip(self.shadow.buffers(), model.buffers()):
            s.copy_(b)


torch.manual_seed(0)
model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 1))
ema = EMA(model)
opt = torch.optim.SGD(model.parameters(), lr=0.1)
x = torch.randn(30, 4)
y = x[:, :1].abs()
for step in range(8):
    # the student also follows its own average
    consistency = nn.functional.mse_loss(model(x), ema.shadow(x))
    loss = nn.functional.mse_loss(model(x), y) + 0.1 * consistency
    opt.zero_grad()
    loss.backward()
    opt.step()
    ema.update(model)
ema.shadow.eval()
print(loss.item(), nn.functional.mse_loss(ema.shadow(x), y).item())
