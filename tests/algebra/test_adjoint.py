"""Each rule of an adjoint against central differences: the formulas of `derive` evaluated by plain
Python and PyTorch, in one batch.
"""

import json

import pytest
import torch
from torch import Tensor

from gradcli.algebra import adjoint
from tests.program import run as gradcli
from tools.derivations import Names, run

STEP = 1e-5
VECTOR = {"x": "0.4,-0.8,1.1,0.3", "w": "0.7,0.2,-0.5,1.3"}
MATRIX = {
    "A": "1.4,0.2,-0.3;0.1,1.7,0.5;-0.2,0.3,1.9",
    "B": "0.3,-0.4,0.8;1.1,0.6,-0.7;0.2,0.9,-1.2",
}
RULES = {
    "softmax": "softmax(x, 0) @ w",
    "logsumexp": "logsumexp(x*w, 0)",
    "max": "max(x*w)*sum(x)",
    "min": "min(x*w)*sum(x)",
    "prod": "prod(x*w)",
    "cumsum": "cumsum(x, 0)**2 @ w",
    "rcumsum": "flip(cumsum(flip(x, (0,)), 0), (0,))**2 @ w",
    "slice": "x[1:]**2 @ w[:-1]",
    "pad": "sum((x[1:] - x[:-1])**2*w[1:])",
    "flip": "flip(x, (0,))*x @ w",
    "roll": "roll(x, 1)*x @ w",
    "reshape": "sum(reshape(x, (2, 2)) @ reshape(x*w, (2, 2)))",
    "cat": "cat([x**2, x*w]) @ cat([w, x])",
    "stack": "sum(stack([x, w])**2 @ x)",
    "tril": "sum(tril(A)**2*B)",
    "triu": "sum(triu(A)**2*B)",
    "inv": "sum(inv(A)*B)",
    "det": "det(A)*sum(B)",
    "logdet": "logdet(A @ A.T) + sum(A*B)",
}
"""An expression with this function, whose gradient needs its rule."""
NODES = {
    "sum": "x @ w + 2*sum(x)",
    "product": "sum(x**3*w**2/(1 + x**2))",
    "exponent": "sum((1 + x**2)**w)",
    "where": "sum(where(x > 0, x*w, w**2))",
    "maximum": "sum(maximum(x, w)*minimum(x, 2*w))",
    "places": "x[0]*x[3] + x[2]**2*w[1]",
    "diagonal": "trace(A @ B @ A) + sum(diagonal(A)**2)",
    "step": "x[::2]**2 @ w[1::2]",
    "sides": "logsumexp(A*B, (0, 1))",
}
"""The other kinds of nodes, and indices that meet at a place."""


def inputs(expression: str) -> dict[str, str]:
    return VECTOR if "x" in expression.replace("max", "").replace("exp", "") else MATRIX


@pytest.fixture(scope="module")
def answers() -> dict[str, dict[str, str]]:
    """The formulas of all expressions above."""
    expressions = [*RULES.values(), *NODES.values()]
    jobs = [{"command": "derive", "expression": e, "inputs": inputs(e)} for e in expressions]
    ran = gradcli("batch", "--jobs", "1", stdin="".join(json.dumps(job) + "\n" for job in jobs))
    lines = map(json.loads, ran.stdout.splitlines())
    return {e: line["formulas"] for e, line in zip(expressions, lines, strict=True)}


def tensor(text: str) -> Tensor:
    rows = [[float(each) for each in row.split(",")] for row in text.split(";")]
    return torch.tensor(rows if ";" in text else rows[0], dtype=torch.float64)


def difference(expression: str, values: dict[str, Tensor], name: str) -> Tensor:
    """The central difference by every element of an input."""
    found = torch.zeros_like(values[name])
    for place in range(found.numel()):
        sides = []
        for step in (STEP, -STEP):
            moved = values[name].clone()
            moved.view(-1)[place] += step
            sides.append(run(expression, Names({**values, name: moved})))
        found.view(-1)[place] = (sides[0] - sides[1]) / (2 * STEP)
    return found


@pytest.mark.parametrize("expression", [*RULES.values(), *NODES.values()])
def test_the_formula_is_the_slope(expression: str, answers: dict[str, dict[str, str]]) -> None:
    values = {name: tensor(text) for name, text in inputs(expression).items()}
    for name in values:
        text = answers[expression][name]
        assert text is not None, name
        found = torch.as_tensor(run(text, Names(values)), dtype=torch.float64)
        expected = difference(expression, values, name)
        assert found.shape == expected.shape
        assert torch.allclose(found, expected, rtol=1e-6, atol=1e-6), (name, text)


def test_every_rule_has_an_expression() -> None:
    assert RULES.keys() == adjoint._RULES.keys() | {"cat", "stack"}
