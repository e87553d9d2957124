# check: MLP x=randn(4,3)
# expect: ok
# check: FrozenByMistake x=randn(4,3)
# expect: x value; fc1.weight none; fc1.bias none
# check: HiddenDetached x=randn(4,3)
# expect: x value; fc1.weight value; fc1.bias value
# check: NoGradBranch x=randn(4,3)
# expect: x value
# check: UnusedHead x=randn(4,3)
# expect: ok
# check: net input=randn(4,3)
# expect: ok
# check: MLP
# expect: exit 2 x
import torch
import torch.nn as nn


class MLP(nn.Module):
    def __init__(self, n_in=3, n_hidden=5, n_out=2):
        super().__init__()
        self.fc1 = nn.Linear(n_in, n_hidden)
        self.fc2 = nn.Linear(n_hidden, n_out)

    def forward(self, x):
        return self.fc2(torch.tanh(self.fc1(x)))


class FrozenByMistake(MLP):
    def forward(self, x):
        with torch.no_grad():
            h = torch.tanh(self.fc1(x.detach()))
        return self.fc2(h) + x.mean()


class HiddenDetached(MLP):
    """A skip connection; the hidden layer's main path is cut."""

    def __init__(self):
        super().__init__(3, 2, 2)

    def forward(self, x):
        h = torch.tanh(self.fc1(x))
        return h + self.fc2(h.detach())


class NoGradBranch(MLP):
    def forward(self, x):
        with torch.no_grad():
            scale = x.pow(2).mean()
        return self.fc2(torch.tanh(self.fc1(x))) * scale


class UnusedHead(MLP):
    def __init__(self):
        super().__init__()
        self.aux = nn.Linear(5, 7)

    def forward(self, x):
        return super().forward(x)


net = nn.Sequential(nn.Linear(3, 4), nn.GELU(), nn.LayerNorm(4), nn.Linear(4, 1))
