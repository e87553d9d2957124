"""PyTorch code as users write it, right and wrong, which tests/commands/test_check.py checks."""

import warnings

import torch
from torch import nn


def square(x):
    return (x**2).sum()


def changes_input(x):
    x *= 2
    return x.sum()


def cut(x, w):
    return (x * w.detach()).sum() + (x**2).sum()


def cut_in_part(x):
    return x.pow(2).sum().item() * x.sum()


def through_numpy(x):
    return torch.from_numpy((x.detach().numpy() ** 2).sum(keepdims=True))


def several(x):
    return x.sin(), {"cosine": x.cos()}


def second_unused(x, y):
    return 2 * x


def dropout(x):
    return nn.functional.dropout(x, 0.5)


def root_of_square(x):
    return torch.sqrt(x**2)


def cholesky(a):
    return torch.linalg.cholesky(a).sum()


def cross_entropy(a, t):
    return nn.functional.cross_entropy(a, t)


def normalised(x, dim=None, eps: float = 1e-5):
    return x / (x.norm(dim=dim, keepdim=True) + eps)


def fails(x):
    y = 2 * x
    raise ValueError(f"no luck with {y.item()}")


def leaves(x):
    raise SystemExit("bye")


def asserts(x):
    assert x.ndim == 2
    return x


def returns_nothing(x):
    x * 2


def talks(x):
    print("hello from the code")
    return x


class Cube(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return 3 * g * x**2


class NegativeCube(Cube):
    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return -3 * g * x**2


class CubeOnce(Cube):
    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return 3 * g * x**2


class CubeWithoutUpstream(Cube):
    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return 3 * g.detach() * x**2


class SumOfSquares(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return (x**2).sum()

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return 2 * x


class Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, w):
        ctx.save_for_backward(x, w)
        return x @ w

    @staticmethod
    def backward(ctx, g):
        x, w = ctx.saved_tensors
        return g @ w.T, x.T @ g


class ProductTransposed(Product):
    @staticmethod
    def backward(ctx, g):
        x, w = ctx.saved_tensors
        return g @ w.T, g.T @ x


class ProductOfOne(Product):
    @staticmethod
    def backward(ctx, g):
        return g @ ctx.saved_tensors[1].T


class ProductWithNone(Product):
    @staticmethod
    def backward(ctx, g):
        return g @ ctx.saved_tensors[1].T, None


class ProductThatScales(Product):
    @staticmethod
    def backward(ctx, g):
        x, w = ctx.saved_tensors
        gradients = g @ w.T, x.T @ g
        w.mul_(2)
        return gradients


class Shift(torch.autograd.Function):
    """Its backward does not sum over what was broadcast: the engine does."""

    @staticmethod
    def forward(ctx, x, b):
        return x + b

    @staticmethod
    def backward(ctx, g):
        return g, g


class Number(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return 2 * x

    @staticmethod
    def backward(ctx, g):
        return 2.0


class NothingSaved(Number):
    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return 2 * g


class Power(torch.autograd.Function):
    @staticmethod
    def forward(x, n=2):
        return x**n

    @staticmethod
    def setup_context(ctx, inputs, output):
        x, ctx.n = inputs
        ctx.save_for_backward(x)

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * ctx.n * x ** (ctx.n - 1), None


class Relu(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.clamp(min=0)

    @staticmethod
    def backward(ctx, g):
        return g * (ctx.saved_tensors[0] > 0)


class Linear(nn.Module):
    def __init__(self, features=2):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, features))
        self.bias = nn.Parameter(torch.zeros(3))

    def forward(self, x):
        return x @ self.weight.T + self.bias


class Detached(Linear):
    def forward(self, x):
        return x @ self.weight.data.T + self.bias


class Sized(nn.Module):
    def __init__(self, features):
        super().__init__()


frozen = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Linear(2, 1))
frozen[0].requires_grad_(False)
constant = 3


def hand_gradient(x):
    return (x**2).sum(), 2 * x


def doubled_gradient(x):
    return (x**2).sum(), 4 * x


def affine(x, w, b):
    return x @ w + b, (x, w, b)


def affine_backward(dout, cache):
    x, w, _ = cache
    dout *= 1  # a copy, which it may change
    return dout @ w.T, x.T @ dout, dout.sum(0)


def phase(x):
    return torch.complex(x, (x**2).detach())


class Phase(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return torch.complex(x.cos(), x.sin())

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return -grad.real * x.sin()


class ComplexScale(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.w = torch.nn.Parameter(torch.tensor([1 + 2j]))

    def forward(self, x):
        return (x * self.w).abs()


def as_a_number(x):
    return float(x.sum())


def of_other_shape(x):
    return torch.nn.functional.mse_loss(x, torch.zeros(len(x), 1))


def with_own_warning(x):
    warnings.warn("x may be too large", stacklevel=1)
    return x.sum()


def complex_gradient(x):
    return (x**2).sum(), 2 * x + 1j * x


class ComplexGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return (x**2).sum()

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return torch.fft.ifft(torch.fft.fft(2 * x * grad))


class Prelu(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, a=0.25):
        ctx.save_for_backward(x, torch.as_tensor(a))
        return torch.where(x > 0, x, a * x)

    @staticmethod
    def backward(ctx, g):
        x, a = ctx.saved_tensors
        return g * torch.where(x > 0, 1.0, a), (g * x * (x <= 0)).sum()


class PreluNegative(Prelu):
    @staticmethod
    def backward(ctx, g):
        dx, da = Prelu.backward(ctx, g)
        return dx, -da


def raised(x, power=2.0):
    return x**power if power > 1 else x


def leaky(x, slope=0.1):
    return torch.where(x > 0, x, float(slope) * x)


class Padded(torch.nn.Embedding):
    def __init__(self):
        super().__init__(3, 2, padding_idx=0)

    def forward(self, i):
        return super().forward(i) ** 2


class PaddedAndCut(Padded):
    def forward(self, i):
        return super().forward(i) * self.weight.detach().sum()


class Remembers(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.zeros(2))
        self.hidden, self.calls = None, 0

    def forward(self, x):
        self.calls += 1
        self.mean = 0.9 * self.mean + 0.1 * x
        hidden = 0 if self.hidden is None else self.hidden
        out = torch.tanh(x * self.calls + hidden) - self.mean
        self.hidden = out.detach()
        return out


def counts(x):
    counts.calls = getattr(counts, "calls", 0) + 1
    return x * counts.calls


def squares_in_place(x):
    y = x.clone()
    y[1:] *= y[1:]
    return y.sum()
