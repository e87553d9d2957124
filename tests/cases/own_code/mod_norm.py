# check: BatchNorm x=randn(6,3)
# expect: ok
# check: BatchNormData x=randn(6,3)
# expect: x value
# check: InstanceNormDetachedVar x=randn(2,3,5)
# expect: x value
# check: Standardize x=randn(6,3)
# expect: ok
# check: WeightNorm x=randn(4,3)
# expect: ok
# check: WeightNormData x=randn(4,3)
# expect: v value
import torch
from torch import nn


class BatchNorm(nn.Module):
    def __init__(self, n=3, momentum=0.1):
        super().__init__()
        self.gamma = nn.Parameter(torch.rand(n) + 0.5)
        self.beta = nn.Parameter(torch.zeros(n))
        self.register_buffer("running_mean", torch.zeros(n))
        self.momentum = momentum

    def forward(self, x):
        mean, var = x.mean(0), x.var(0, unbiased=False)
        if self.training:
            with torch.no_grad():
                self.running_mean.lerp_(mean, self.momentum)
        return self.gamma * (x - mean) / torch.sqrt(var + 1e-5) + self.beta


class BatchNormData(BatchNorm):
    def forward(self, x):
        mean, var = x.mean(0), x.data.var(0, unbiased=False)
        return self.gamma * (x - mean) / torch.sqrt(var + 1e-5) + self.beta


class InstanceNormDetachedVar(nn.Module):
    def forward(self, x):
        mean = x.mean(-1, keepdim=True)
        var = (x - mean).detach().pow(2).mean(-1, keepdim=True)
        return (x - mean) / torch.sqrt(var + 1e-5)


class Standardize(nn.Module):
    """Fixed statistics of the training set, as buffers."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.tensor([0.1, 0.2, 0.3]))
        self.register_buffer("std", torch.tensor([1.0, 2.0, 0.5]))

    def forward(self, x):
        return (x - self.mean) / self.std


class WeightNorm(nn.Module):
    def __init__(self):
        super().__init__()
        self.g = nn.Parameter(torch.ones(2))
        self.v = nn.Parameter(torch.randn(2, 3))

    def forward(self, x):
        w = self.g[:, None] * self.v / self.v.norm(dim=1, keepdim=True)
        return x @ w.T


class WeightNormData(WeightNorm):
    def forward(self, x):
        w = self.g[:, None] * self.v / self.v.data.norm(dim=1, keepdim=True)
        return x @ w.T
