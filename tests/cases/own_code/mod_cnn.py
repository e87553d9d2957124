# check: TinyConv x=randn(2,1,6,6)
# expect: ok
# check: TinyConvArgmax x=randn(2,1,6,6)
# expect: x none; conv.weight none; conv.bias none
# check: model x=randn(3,4)
# expect: ok
# check: Gate x=randn(3,4)
# expect: ok
# check: HardGate x=randn(3,4)
# expect: x value
# check: DropoutNet x=randn(3,4)
# expect: ok
import torch
import torch.nn.functional as F
from torch import nn


class TinyConv(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3)
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        h = F.softplus(self.conv(x))
        h = F.avg_pool2d(h, 2)
        return self.head(h.flatten(1))


class TinyConvArgmax(TinyConv):
    def forward(self, x):
        h = torch.as_tensor(F.softplus(self.conv(x)).detach().numpy())
        return self.head(F.avg_pool2d(h, 2).flatten(1))


class Residual(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(n, n) for _ in range(2)])

    def forward(self, x):
        for layer in self.layers:
            x = x + torch.sigmoid(layer(x))
        return x


class Gate(nn.Module):
    def forward(self, x):
        a, b = x.chunk(2, dim=1)
        return a * torch.sigmoid(b)


class HardGate(nn.Module):
    def forward(self, x):
        a, b = x.chunk(2, dim=1)
        return a * torch.sigmoid(b.detach())


class DropoutNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)
        self.drop = nn.Dropout(0.5)

    def forward(self, x):
        return self.drop(torch.tanh(self.fc(x)))


model = Residual(4)
