# right
import torch
import torch.nn as nn
import torch.nn.functional as F


class Residual(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.conv1 = nn.Conv2d(c, c, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(c)
        self.conv2 = nn.Conv2d(c, c, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(c)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        identity = x
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += identity
        return self.relu(out)


torch.manual_seed(0)
net = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), Residual(4), Residual(4), nn.Flatten(), nn.Linear(100, 3))
opt = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9, nesterov=True)
x = torch.rand(6, 1, 5, 5)
y = torch.tensor([0, 1, 2] * 2)
for step in range(4):
    x_aug = x.clone()
    x_aug[:, :, step] = 0  # cutout
    loss = F.cross_entropy(net(x_aug), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(step, loss.item())
