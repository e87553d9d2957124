# right
import torch
import torch.nn as nn

torch.manual_seed(0)
quantiles = torch.tensor([0.1, 0.5, 0.9])
x = torch.rand(64, 1)
y = x + 0.2 * torch.randn(64, 1)
net = nn.Sequential(nn.Linear(1, 16), nn.ReLU(), nn.Linear(16, 3))
opt = torch.optim.Adam(net.parameters(), lr=0.01)


def pinball(pred, y):
    error = y - pred  # each quantile against the same target
    return torch.max(quantiles * error, (quantiles - 1) * error).mean()


for epoch in range(10):
    loss = pinball(net(x), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
print(loss.item())
