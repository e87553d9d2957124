# check: HalfPrecision x=randn(4)
# expect: ok
# check: IntegerGradient x=0.3,0.6,1.5
# expect: x value
# check: IntegerStep x=0.3,0.6,1.5
# expect: x value
# check: Extra x=randn(3)
# expect: count
import torch


class HalfPrecision(torch.autograd.Function):
    """A gradient in float32 for an input in float64: PyTorch converts it."""

    @staticmethod
    def forward(ctx, x):
        return x * 0.25

    @staticmethod
    def backward(ctx, g):
        return g.float() * 0.25


class IntegerGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**2

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return (2 * g * x).long()


class IntegerStep(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.n = x.numel()
        return x.mean()

    @staticmethod
    def backward(ctx, g):
        return g * torch.ones(ctx.n) * (1 // ctx.n)


class Extra(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return 2 * x

    @staticmethod
    def backward(ctx, g):
        return 2 * g, 3 * g
