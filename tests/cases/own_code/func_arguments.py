# check: Scale x=randn(4)
# expect: ok
# check: ScaleMissingNone x=randn(4)
# expect: count
# check: Power x=rand(4) n=tensor(3)
# expect: ok
# check: LeakyRelu x=-2,-1,1,2
# expect: ok
# check: LeakyReluNoSlope x=-2,-1,1,2
# expect: x value
# check: MinMax x=randn(5)
# expect: ok
# check: MinMaxOneGradient x=randn(5)
# expect: x value
# check: Reshape x=randn(2,6)
# expect: ok
# check: ReshapeForgotten x=randn(2,6)
# expect: x shape
import torch
from torch.autograd import Function


class Scale(Function):
    @staticmethod
    def forward(ctx, x, factor=3.0):
        ctx.factor = factor
        return x * factor

    @staticmethod
    def backward(ctx, g):
        return g * ctx.factor, None


class ScaleMissingNone(Function):
    @staticmethod
    def forward(ctx, x, factor=3.0, inplace=False):
        ctx.factor = factor
        return x * factor

    @staticmethod
    def backward(ctx, g):
        return g * ctx.factor


class Power(Function):
    @staticmethod
    def forward(ctx, x, n):
        ctx.save_for_backward(x)
        ctx.n = int(n)
        return x**ctx.n

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * ctx.n * x ** (ctx.n - 1), None


class LeakyRelu(Function):
    @staticmethod
    def forward(ctx, x, slope=0.1):
        ctx.save_for_backward(x)
        ctx.slope = slope
        return torch.where(x > 0, x, slope * x)

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return torch.where(x > 0, g, ctx.slope * g), None


class LeakyReluNoSlope(Function):
    @staticmethod
    def forward(ctx, x, slope=0.1):
        ctx.save_for_backward(x)
        return torch.where(x > 0, x, slope * x)

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        dx = g.clone()
        dx[x <= 0] = 0
        return dx, None


class MinMax(Function):
    """Two outputs, a gradient for each."""

    @staticmethod
    def forward(ctx, x):
        lo, hi = x.argmin(), x.argmax()
        ctx.where = (lo, hi)
        ctx.n = x.numel()
        return x[lo].clone(), x[hi].clone()

    @staticmethod
    def backward(ctx, glo, ghi):
        lo, hi = ctx.where
        dx = torch.zeros(ctx.n, dtype=glo.dtype)
        dx[lo] += glo
        dx[hi] += ghi
        return dx


class MinMaxOneGradient(Function):
    @staticmethod
    def forward(ctx, x):
        lo, hi = x.argmin(), x.argmax()
        ctx.where = (lo, hi)
        ctx.n = x.numel()
        return x[lo].clone(), x[hi].clone()

    @staticmethod
    def backward(ctx, glo, ghi):
        lo, hi = ctx.where
        dx = torch.zeros(ctx.n, dtype=glo.dtype)
        dx[hi] = ghi
        return dx


class Reshape(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.shape = x.shape
        return x.reshape(3, 4) * 2

    @staticmethod
    def backward(ctx, g):
        return 2 * g.reshape(ctx.shape)


class ReshapeForgotten(Function):
    @staticmethod
    def forward(ctx, x):
        return x.reshape(3, 4) * 2

    @staticmethod
    def backward(ctx, g):
        return 2 * g
