# right
import torch
import torch.nn as nn

torch.manual_seed(0)
points = torch.cat([torch.randn(15, 2) + 3, torch.randn(15, 2) - 3])
labels = torch.tensor([0] * 15 + [1] * 15)
net = nn.Linear(2, 2)
opt = torch.optim.SGD(net.parameters(), lr=0.05)


def pairwise(z):
    d2 = ((z[:, None, :] - z[None, :, :]) ** 2).sum(-1)
    return (d2 + 1e-8).sqrt()


same = labels[:, None] == labels[None, :]
for step in range(5):
    d = pairwise(net(points))
    loss = torch.where(same, d**2, torch.relu(2.0 - d) ** 2).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(step, loss.item())
