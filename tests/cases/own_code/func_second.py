# check: Cube x=randn(4) --second
# expect: ok
# check: CubeOnce x=randn(4)
# expect: ok
# check: CubeOnce x=randn(4) --second
# expect: x second
# check: SwishNumpy x=randn(4)
# expect: ok
# check: SwishNumpy x=randn(4) --second
# expect: x second
# check: TanhDetached x=randn(4) --second
# expect: x second
# check: TanhDetached x=randn(4)
# expect: ok
# check: softplus x=randn(4) --second
# expect: ok
import numpy as np
import torch
from torch.autograd import Function
from torch.autograd.function import once_differentiable


class Cube(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return 3 * x**2 * g


class CubeOnce(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    @once_differentiable
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return 3 * x**2 * g


class SwishNumpy(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.x = x.detach().numpy()
        s = 1 / (1 + np.exp(-ctx.x))
        return torch.from_numpy(ctx.x * s)

    @staticmethod
    def backward(ctx, g):
        s = 1 / (1 + np.exp(-ctx.x))
        return g * torch.from_numpy(s + ctx.x * s * (1 - s))


class TanhDetached(Function):
    """Right once; the saved output is no longer part of the graph the second time."""

    @staticmethod
    def forward(ctx, x):
        y = torch.tanh(x)
        ctx.y = y
        return y.clone()

    @staticmethod
    def backward(ctx, g):
        return g * (1 - ctx.y.detach() ** 2)


def softplus(x):
    return torch.log1p(torch.exp(x)).sum()
