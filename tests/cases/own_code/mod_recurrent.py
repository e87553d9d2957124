# check: GRUCell x=randn(2,3) h=randn(2,4)
# expect: ok
# check: TruncatedRNN x=randn(4,2,3)
# expect: x value; cell.weight_ih value; cell.weight_hh value; cell.bias_ih value; cell.bias_hh value
# check: RNN x=randn(4,2,3)
# expect: ok
# check: Embedder ids=tensor([0,2,2])
# expect: ok
# check: PositionalAdd x=randn(3,4)
# expect: x mutates
import torch
from torch import nn


class GRUCell(nn.Module):
    def __init__(self):
        super().__init__()
        self.x2h = nn.Linear(3, 12)
        self.h2h = nn.Linear(4, 12)

    def forward(self, x, h):
        xr, xz, xn = self.x2h(x).chunk(3, 1)
        hr, hz, hn = self.h2h(h).chunk(3, 1)
        r, z = torch.sigmoid(xr + hr), torch.sigmoid(xz + hz)
        n = torch.tanh(xn + r * hn)
        return (1 - z) * n + z * h


class RNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell = nn.RNNCell(3, 4)

    def forward(self, x):
        h = torch.zeros(x.shape[1], 4)
        for step in x:
            h = self.cell(step, h)
        return h


class TruncatedRNN(RNN):
    def forward(self, x):
        h = torch.zeros(x.shape[1], 4)
        for t, step in enumerate(x):
            if t == 2:
                h = h.detach()
            h = self.cell(step, h)
        return h


class Embedder(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(4, 3)

    def forward(self, ids):
        return self.table(ids).sin().sum(0)


class PositionalAdd(nn.Module):
    def forward(self, x):
        position = torch.arange(x.shape[0], dtype=x.dtype)[:, None]
        with torch.no_grad():
            x.add_(position)
        return torch.sin(x)
