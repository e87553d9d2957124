# check: RoundSTE x=0.2,0.7,1.4
# expect: x value
# check: SignSTE x=randn(4)
# expect: x value
# check: Clamp x=-2,0.3,2
# expect: ok
# check: Clamp x=-1,0.3,1
# expect: ok
# check: ClampStrict x=-1,0.3,1
# expect: ok
# check: ClampPassesAll x=-2,0.3,2
# expect: x value
# check: FakeQuant x=0.2,0.7,1.4 scale=0.5
# expect: x value; scale value
"""Straight-through estimators: their backward pass is not the derivative, on purpose."""

import torch
from torch.autograd import Function


class RoundSTE(Function):
    @staticmethod
    def forward(ctx, x):
        return torch.round(x)

    @staticmethod
    def backward(ctx, grad_output):
        return grad_output


class SignSTE(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return torch.sign(x)

    @staticmethod
    def backward(ctx, grad_output):
        (x,) = ctx.saved_tensors
        return grad_output * (x.abs() <= 1).to(grad_output.dtype)


class Clamp(Function):
    @staticmethod
    def forward(ctx, x, lo=-1.0, hi=1.0):
        ctx.save_for_backward(x)
        ctx.lo, ctx.hi = lo, hi
        return x.clamp(lo, hi)

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        inside = (x >= ctx.lo) & (x <= ctx.hi)
        return g * inside, None, None


class ClampStrict(Function):
    @staticmethod
    def forward(ctx, x, lo=-1.0, hi=1.0):
        ctx.save_for_backward(x)
        ctx.lo, ctx.hi = lo, hi
        return x.clamp(lo, hi)

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        inside = (x > ctx.lo) & (x < ctx.hi)
        return g * inside, None, None


class ClampPassesAll(Function):
    @staticmethod
    def forward(ctx, x):
        return x.clamp(-1, 1)

    @staticmethod
    def backward(ctx, g):
        return g


class FakeQuant(Function):
    """LSQ: a learned step size."""

    @staticmethod
    def forward(ctx, x, scale):
        ctx.save_for_backward(x, scale)
        return torch.round(x / scale) * scale

    @staticmethod
    def backward(ctx, g):
        x, scale = ctx.saved_tensors
        q = x / scale
        return g, (g * (q.round() - q)).sum()
