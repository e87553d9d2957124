# check: AddOneDirty x=randn(3)
# expect: x mutates
# check: ReluInPlaceSaved x=randn(6)
# expect: x mutates
# check: NormalizeSafe x=randn(3,4)
# expect: ok
# check: BackwardScalesSaved x=randn(4) w=randn(4)
# expect: w mutates
import torch
from torch.autograd import Function


class AddOneDirty(Function):
    """Changes its input and does not say so with ctx.mark_dirty."""

    @staticmethod
    def forward(ctx, x):
        x += 1
        return x * 2

    @staticmethod
    def backward(ctx, g):
        return 2 * g


class ReluInPlaceSaved(Function):
    @staticmethod
    def forward(ctx, x):
        x[x < 0] = 0
        ctx.save_for_backward(x)
        return x.clone()

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * (x > 0)


class NormalizeSafe(Function):
    @staticmethod
    def forward(ctx, x):
        x = x.clone()
        n = x.norm(dim=1, keepdim=True)
        x /= n
        ctx.save_for_backward(x, n)
        return x

    @staticmethod
    def backward(ctx, g):
        y, n = ctx.saved_tensors
        return (g - y * (g * y).sum(1, keepdim=True)) / n


class BackwardScalesSaved(Function):
    @staticmethod
    def forward(ctx, x, w):
        ctx.save_for_backward(x, w)
        return x * w

    @staticmethod
    def backward(ctx, g):
        x, w = ctx.saved_tensors
        dw = g * x
        w *= g  # saves memory
        return w, dw
