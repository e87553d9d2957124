# bug: one-hot-target
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)
x = torch.randn(18, 5)
labels = torch.arange(18) % 3
targets = F.one_hot(labels, num_classes=3)  # <-- cause
net = nn.Sequential(nn.Linear(5, 8), nn.GELU(), nn.Linear(8, 3))
opt = torch.optim.AdamW(net.parameters(), lr=0.01)
for epoch in range(3):
    loss = F.cross_entropy(net(x), targets)
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(epoch, loss.item())
