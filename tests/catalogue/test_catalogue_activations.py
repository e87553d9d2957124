"""Every activation of the catalogue against PyTorch: value, derivative, smaller dtypes, kinks and
range.
"""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from gradcli.catalogue.functions import ACTIVATIONS, Activation
from gradcli.evaluate import implementations
from gradcli.language.calls import Call, parse_call
from gradcli.language.source import Source
from tests.choice import first_usual, in_rows
from tests.closed_forms import (
    LOW,
    assert_equal,
    bend,
    difference,
    evaluated,
    gradient,
    or_skip,
    uniform,
)

CALLS = [
    *ACTIVATIONS,
    *[
        "leaky_relu(0.2)",
        "leaky_relu(-0.5)",
        "elu(0.5)",
        "celu(2)",
        "prelu(0.5)",
        "rrelu(0.1, 0.5)",
        "gelu(tanh)",
    ],
    *[
        "softplus(2, 5)",
        "softshrink(1)",
        "hardshrink(lambd=2)",
        "hardtanh(-2, 0.5)",
        "threshold(1, -3)",
    ],
]

ROUNDED = {"hardsigmoid": 1e-7}
"""PyTorch's derivative keeps 1/6 in float32, whatever the dtype."""


def unary(text: str) -> tuple[Call, Activation, Callable[[Tensor], Tensor]]:
    call = parse_call(Source(text), Activation)
    assert isinstance(call.entry, Activation)
    return call, call.entry, implementations.activation(call)


def places(call: Call, entry: Activation) -> list[float]:
    return [
        place
        for text in entry.kinks
        if not math.isnan(place := float(evaluated(text, **call.bound)))
    ]


Slope = Callable[[Callable[[Tensor], Tensor], Tensor], Tensor]


def diagonal(entry: Activation, slope: Slope, text: str, x: Tensor) -> Tensor:
    """dy_i/dx_i by `slope`, which differentiates a sum: of all outputs, or column by column where a
    row is mixed.
    """
    _, _, function = unary(text)
    if not entry.mixes:
        return slope(lambda t: function(t).sum(), x)
    columns = [slope(lambda t, i=i: function(t)[:, i].sum(), x)[:, i] for i in range(x.shape[1])]  # type: ignore[misc]
    return torch.stack(columns, 1)


def points(call: Call, entry: Activation) -> Tensor:
    """Random points in rows, none of them near a kink."""
    x = uniform(-8, 8, 12, 4)
    for place in places(call, entry):
        x[(x - place).abs() < 0.01] += 0.1
    return x


EXTREMES = torch.tensor(
    [[100.0, -100.0, 0.3, -0.2], [-100.0, -99.0, -101.0, 100.0]], dtype=torch.float64
)


@pytest.mark.parametrize("text", CALLS)
def test_activation_is_its_formula(text: str) -> None:
    call, entry, function = unary(text)
    infinite = torch.tensor(
        [[math.inf, 1.0, 2.0, 3.0], [-math.inf, 1.0, 2.0, 3.0]], dtype=torch.float64
    )
    for x in (points(call, entry), EXTREMES, infinite):
        assert_equal(evaluated(entry.formula, x=x, **call.bound), function(x), rtol=1e-8)


@pytest.mark.parametrize("text", [text for text in CALLS if text != "step"])
def test_activation_derivative(text: str) -> None:
    call, entry, _ = unary(text)
    assert entry.derivative is not None
    for x in (points(call, entry), EXTREMES):
        closed = evaluated(entry.derivative, x=x, **call.bound).expand_as(x)
        assert_equal(closed, diagonal(entry, gradient, text, x), ROUNDED.get(text, 1e-8))
        torch.testing.assert_close(
            diagonal(entry, difference, text, x), closed, rtol=1e-5, atol=1e-6
        )


def test_step_has_no_derivative() -> None:
    _, entry, function = unary("step")
    assert entry.derivative is None
    assert function(torch.tensor([-2.0, 0.0, 3.0])).tolist() == [0.0, 0.0, 1.0]
    with pytest.raises(RuntimeError, match="heaviside"):
        gradient(function, torch.ones(1))


@pytest.mark.parametrize("dtype", LOW, ids=str)
@pytest.mark.parametrize("text", first_usual(ACTIVATIONS, in_rows(2, ACTIVATIONS)))
def test_activation_in_smaller_dtypes(text: str, dtype: torch.dtype) -> None:
    call, entry, function = unary(text)
    x = points(call, entry).to(dtype)
    close: dict[str, Any] = {"rtol": LOW[dtype], "atol": LOW[dtype], "check_dtype": False}
    value = or_skip(lambda: function(x))
    assert value.dtype == dtype
    torch.testing.assert_close(value, evaluated(entry.formula, x=x.double(), **call.bound), **close)
    if entry.derivative is not None:
        slope = or_skip(lambda: diagonal(entry, gradient, text, x))
        torch.testing.assert_close(
            slope, evaluated(entry.derivative, x=x.double(), **call.bound).expand_as(x), **close
        )


@pytest.mark.parametrize("text", [text for text in CALLS if not unary(text)[1].mixes])
def test_activation_kinks(text: str) -> None:
    call, entry, function = unary(text)
    kinks = places(call, entry)
    grid = torch.cat(
        [torch.arange(-8, 8.25, 0.25), torch.tensor([20.0]), torch.tensor(kinks)]
    ).double()
    bent = bend(lambda x: function(x).sum(), grid) > 1e-3
    expected = torch.isin(grid, torch.tensor(kinks, dtype=torch.float64))
    assert grid[bent].tolist() == grid[expected].tolist()


def parts(entry: Activation) -> list[tuple[bool, float, bool, float]]:
    """The pieces of a range, each as: lower end open, lower end, upper end open, upper end."""
    names = {parameter.name: parameter.default for parameter in entry.parameters}
    pieces = []
    for piece in entry.range.split(" or "):
        ends = [float(evaluated(end, **names)) for end in piece[1:-1].split(",")]
        if piece[0] == "{":
            pieces += [(False, end, False, end) for end in ends]
        else:
            pieces.append((piece[0] == "(", ends[0], piece[-1] == ")", ends[1]))
    return pieces


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_range_holds_and_is_reached(name: str) -> None:
    _, entry, function = unary(name)
    pieces = parts(entry)
    for y in function(uniform(-8, 8, 500, 4)).flatten().tolist():
        assert any(
            (a < y if a_open else a <= y) and (y < b if b_open else y <= b)
            for a_open, a, b_open, b in pieces
        ), y
    # Far out a value rounds to the open end itself, and both ends come within reach.
    reached = (
        function(torch.cat([uniform(-8, 8, 5000, 4), 1e4 * EXTREMES])).flatten().clamp(-1e3, 1e3)
    )
    ends = torch.tensor([pieces[0][1], pieces[-1][3]], dtype=torch.float64).clamp(-1e3, 1e3)
    torch.testing.assert_close(torch.stack([reached.min(), reached.max()]), ends, rtol=0, atol=1e-4)
