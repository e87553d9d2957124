# bug: inplace-saved
import torch
import torch.nn as nn


class ConvBlock(nn.Module):
    def __init__(self, cin, cout):
        super().__init__()
        self.conv = nn.Conv2d(cin, cout, 3, padding=1)
        self.gate = nn.Conv2d(cin, cout, 1)
        self.relu = nn.ReLU(inplace=True)  # <-- cause

    def forward(self, x):
        g = torch.sigmoid(self.gate(x))
        h = self.conv(x)
        out = h * g
        return self.relu(h) + self.relu(g) + out  # <-- cause


torch.manual_seed(0)
net = nn.Sequential(ConvBlock(1, 3), nn.Flatten(), nn.Linear(3 * 25, 2))
opt = torch.optim.SGD(net.parameters(), lr=0.01)
x = torch.rand(4, 1, 5, 5)
y = torch.tensor([0, 1, 0, 1])
for i in range(2):
    loss = nn.functional.cross_entropy(net(x), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(i, loss.item())
