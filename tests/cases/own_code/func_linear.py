# check: LinearFunction input=randn(4,3) weight=randn(5,3) bias=randn(5)
# expect: ok
# check: LinearFunction input=randn(4,3) weight=randn(5,3)
# expect: ok
# check: LinearFunction input=randn(4,3) weight=randn(5,3) bias=randn(5) --wrt weight
# expect: ok
# check: LinearUnsummed x=randn(4,3) w=randn(3,5) b=randn(5)
# expect: ok
# check: LinearTransposed x=randn(4,3) w=randn(3,5) b=randn(5)
# expect: w shape
# check: LinearTransposed x=randn(3,3) w=randn(3,3) b=randn(3)
# expect: w value slip=transposed
# check: LinearSwapped x=randn(3,3) w=randn(3,3)
# expect: x value; w value
# check: LinearTooFew x=randn(4,3) w=randn(3,5) b=randn(5)
# expect: count
# check: LinearNoneBias x=randn(4,3) w=randn(3,5) b=randn(5)
# expect: b none
import torch
from torch.autograd import Function


class LinearFunction(Function):
    """As in PyTorch's own notes on extending autograd."""

    @staticmethod
    def forward(ctx, input, weight, bias=None):
        ctx.save_for_backward(input, weight, bias)
        output = input.mm(weight.t())
        if bias is not None:
            output += bias.unsqueeze(0).expand_as(output)
        return output

    @staticmethod
    def backward(ctx, grad_output):
        input, weight, bias = ctx.saved_tensors
        grad_input = grad_weight = grad_bias = None
        if ctx.needs_input_grad[0]:
            grad_input = grad_output.mm(weight)
        if ctx.needs_input_grad[1]:
            grad_weight = grad_output.t().mm(input)
        if bias is not None and ctx.needs_input_grad[2]:
            grad_bias = grad_output.sum(0)
        return grad_input, grad_weight, grad_bias


class LinearUnsummed(Function):
    """PyTorch's engine sums the bias's gradient over the batch by itself."""

    @staticmethod
    def forward(ctx, x, w, b):
        ctx.save_for_backward(x, w)
        return x @ w + b

    @staticmethod
    def backward(ctx, g):
        x, w = ctx.saved_tensors
        return g @ w.T, x.T @ g, g


class LinearTransposed(Function):
    @staticmethod
    def forward(ctx, x, w, b):
        ctx.save_for_backward(x, w)
        return x @ w + b

    @staticmethod
    def backward(ctx, g):
        x, w = ctx.saved_tensors
        return g @ w.T, g.T @ x, g.sum(0)


class LinearSwapped(Function):
    @staticmethod
    def forward(ctx, x, w):
        ctx.save_for_backward(x, w)
        return x @ w

    @staticmethod
    def backward(ctx, g):
        x, w = ctx.saved_tensors
        dx = g @ w.T
        dw = x.T @ g
        return dw, dx


class LinearTooFew(Function):
    @staticmethod
    def forward(ctx, x, w, b):
        ctx.save_for_backward(x, w)
        return x @ w + b

    @staticmethod
    def backward(ctx, g):
        x, w = ctx.saved_tensors
        return g @ w.T, x.T @ g


class LinearNoneBias(Function):
    @staticmethod
    def forward(ctx, x, w, b):
        ctx.save_for_backward(x, w)
        return x @ w + b

    @staticmethod
    def backward(ctx, g):
        x, w = ctx.saved_tensors
        return g @ w.T, x.T @ g, None
