# right
import torch
import torch.nn as nn
from torch.utils.checkpoint import checkpoint

torch.manual_seed(0)
blocks = nn.ModuleList(nn.Sequential(nn.Linear(8, 8), nn.GELU()) for _ in range(3))
stem, head = nn.Linear(4, 8), nn.Linear(8, 2)
params = [p for m in (stem, blocks, head) for p in m.parameters()]
opt = torch.optim.Adam(params, lr=0.01)
x, y = torch.randn(16, 4), torch.arange(16) % 2
for step in range(4):
    h = stem(x)
    for block in blocks:
        h = h + checkpoint(block, h, use_reentrant=False)
    loss = nn.functional.cross_entropy(head(h), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(step, loss.item())
