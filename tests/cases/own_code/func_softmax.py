# check: Softmax x=randn(3,4)
# expect: ok
# check: Softmax x=randn(3,4) --like 'softmax(x, 1)'
# expect: ok
# check: SoftmaxDiagonal x=randn(3,4)
# expect: x value
# check: SoftmaxWrongAxis x=randn(3,4)
# expect: x value
# check: LogSoftmax x=randn(3,4)
# expect: ok
# check: LogSoftmaxNoKeepdim x=randn(4,4)
# expect: x value
# check: LogSoftmaxNoKeepdim x=randn(3,4)
# expect: exit 2 func_softmax.py
import torch


class Softmax(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        z = x - x.max(dim=1, keepdim=True)[0]
        p = z.exp() / z.exp().sum(dim=1, keepdim=True)
        ctx.save_for_backward(p)
        return p

    @staticmethod
    def backward(ctx, g):
        (p,) = ctx.saved_tensors
        return p * (g - (g * p).sum(dim=1, keepdim=True))


class SoftmaxDiagonal(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        p = torch.softmax(x, dim=1)
        ctx.save_for_backward(p)
        return p

    @staticmethod
    def backward(ctx, g):
        (p,) = ctx.saved_tensors
        return g * p * (1 - p)


class SoftmaxWrongAxis(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        p = torch.softmax(x, dim=1)
        ctx.save_for_backward(p)
        return p

    @staticmethod
    def backward(ctx, g):
        (p,) = ctx.saved_tensors
        return p * (g - (g * p).sum(dim=0, keepdim=True))


class LogSoftmax(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        out = x - torch.logsumexp(x, dim=1, keepdim=True)
        ctx.save_for_backward(out)
        return out

    @staticmethod
    def backward(ctx, g):
        (out,) = ctx.saved_tensors
        return g - out.exp() * g.sum(dim=1, keepdim=True)


class LogSoftmaxNoKeepdim(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        out = x - torch.logsumexp(x, dim=1, keepdim=True)
        ctx.save_for_backward(out)
        return out

    @staticmethod
    def backward(ctx, g):
        (out,) = ctx.saved_tensors
        return g - out.exp() * g.sum(dim=1)
