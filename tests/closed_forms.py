"""Closed forms evaluated beside gradcli: by Python itself over a few functions of torch, in
float64.

So neither gradcli's language nor its functions are their own witness. Slopes come from PyTorch and
from differences.
"""

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from gradcli.evaluate.job import default_dtype

_TORCH = (
    *(
        "abs",
        "clamp",
        "erf",
        "exp",
        "expm1",
        "eye",
        "index_fill",
        "log",
        "log1p",
        "logsumexp",
        "mean",
        "relu",
        "sigmoid",
    ),
    *("sign", "softmax", "log_softmax", "sqrt", "sum", "tanh", "where", "xlogy", "zeros_like"),
)
_NAMES: dict[str, object] = {name: getattr(torch, name) for name in _TORCH} | {
    "softplus": F.softplus,
    "logsigmoid": F.logsigmoid,
    "one_hot": F.one_hot,
    "len": len,
    "inf": math.inf,
    "nan": math.nan,
    "pi": math.pi,
}
STEP = 1e-6
LOW = {torch.float32: 1e-5, torch.bfloat16: 4e-2, torch.float16: 1e-2}
"""Each smaller dtype with the relative and absolute error that its rounding explains."""


def evaluated(text: str, **names: object) -> Tensor:
    """The number or tensor that `text` means, in float64."""
    with default_dtype(torch.float64):
        return torch.as_tensor(eval(text, _NAMES | names), dtype=torch.float64)


def uniform(low: float, high: float, *shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return low + (high - low) * torch.rand(*shape, generator=generator, dtype=torch.float64)


def assert_equal(value: Tensor, expected: Tensor, rtol: float = 1e-9) -> None:
    """Compare in float64 where PyTorch's number is one; infinities must agree as well."""
    known = ~expected.isnan()
    assert known.any()
    torch.testing.assert_close(value[known], expected[known], rtol=rtol, atol=1e-12)


def difference(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Central differences of a function of `x` whose result is one number, one coordinate at a
    time.
    """
    steps = STEP * torch.eye(x.numel(), dtype=x.dtype).reshape(-1, *x.shape)
    return torch.stack([(function(x + h) - function(x - h)) / (2 * STEP) for h in steps]).reshape(
        x.shape
    )


def bend(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """How much the slopes right and left of `x` differ, one coordinate at a time."""
    steps = STEP * torch.eye(x.numel(), dtype=x.dtype).reshape(-1, *x.shape)
    bends = torch.stack([function(x + h) - 2 * function(x) + function(x - h) for h in steps])
    return bends.reshape(x.shape).abs() / STEP


def gradient(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    leaf = x.clone().requires_grad_()
    return torch.autograd.grad(function(leaf).sum(), leaf)[0]


def or_skip(function: Callable[[], Tensor]) -> Tensor:
    """Its result; the test is skipped where PyTorch lacks the operator in the dtype."""
    try:
        return function()
    except (RuntimeError, NotImplementedError) as error:
        if "not implemented for" not in str(error):
            raise
        pytest.skip(f"PyTorch: {error}")
