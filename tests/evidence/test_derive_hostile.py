"""`derive` of what is too heavy for it: a formula, or a reason, from the same bounds everywhere."""

import json
from typing import Any

import pytest

from tests.choice import rare
from tests.program import run

REASONS = {"took too long", "longer than 2000 characters", "no short text for a sum"}


def layers(count: int) -> dict[str, Any]:
    """A network of so many layers, each a named step, with its inputs."""
    steps = [f"h{i} = {'relu' if i % 2 else 'tanh'}(h{i - 1} @ W{i})" for i in range(1, count + 1)]
    inputs = {"h0": "randn(5,4)", **{f"W{i}": "randn(4,4)" for i in range(1, count + 1)}}
    return {"expression": f"{'; '.join(steps)}; sum(h{count}**2)", "inputs": inputs}


HEAVY: dict[str, dict[str, Any]] = {
    "a sum of 2,000 terms": {"expression": " + ".join(f"sin({i}*x)" for i in range(2, 2002))},
    "a product of 60 sums": {"expression": "*".join(f"(x + {i})" for i in range(2, 62))},
    "sums of neighbours": {"expression": "*".join(f"(x{i} + x{i + 1})" for i in range(39))},
    "nested roots": {"expression": "sqrt(" * 150 + "x" + ")" * 150},
    "nested logarithms": {"expression": "log1p(" * 150 + "x" + ")" * 150},
    "steps that are used twice": {
        "expression": "; ".join(["a0 = x", *(f"a{i} = sin(a{i - 1})*a{i - 1}" for i in range(1, 31)), "a30"]),
    },
    "12 layers": layers(12),
    "steps that are written when the time is over": {
        "expression": "h = softmax(y, 0); addcmul(outer(X[:, 0], v), outer(y, W[0]), outer(X[:, 0], v))"
        " @ minimum(outer(W[0], W[0]), outer(W[0], v)) @ gelu(outer(v, v).T)",
        "inputs": {"y": "randn(3)", "X": "randn(3,2)", "W": "randn(2,4)", "v": "randn(4)"},
        "steps": True,
    },
    "10 million numbers": {"expression": "sum(x**2)", "inputs": {"x": "randn(10000000)"}},
}  # fmt: skip
SLOW = {*HEAVY} - {
    "a product of 60 sums",
    "nested roots",
    "nested logarithms",
    "steps that are used twice",
}


@pytest.mark.parametrize("name", [rare(name) if name in SLOW else name for name in HEAVY])
def test_what_is_too_heavy_has_a_reason(name: str) -> None:
    ran = run("batch", "--jobs", "1", stdin=json.dumps({"command": "derive", **HEAVY[name]}))
    answer = json.loads(ran.stdout)
    assert answer.get("reasons", {}).keys() | answer.get("verified", {}).keys(), answer
    assert {*answer["reasons"].values()} <= REASONS, answer["reasons"]
    assert all(len(text or "") <= 2000 for text in answer["formulas"].values())


def test_a_condition_of_a_single_number_as_an_index_has_a_reason() -> None:
    ran = run("derive", "x[x > 0].sum()", "x=2", "--json")
    assert (ran.status, ran.json["reasons"]) == (1, {"x": "no rule for this index"})


@pytest.mark.parametrize("count", [7, rare(12)])
def test_each_step_of_a_deep_network_is_short(count: int) -> None:
    job = layers(count)
    inputs = [f"{name}={value}" for name, value in job["inputs"].items()]
    found = run("derive", job["expression"], *inputs, "--steps", "--json").json
    lines = {line["name"]: line["text"] for line in found["steps"]}
    assert lines.keys() == {f"dh{i}" for i in range(1, count + 1)}
    assert lines["dh3"] == "(dh4*(1 - h4**2)) @ W4.T"
    assert max(map(len, lines.values())) <= 60


@pytest.mark.parametrize(
    ("expression", "formula"),
    [
        ("maximum(x, x)", "{}"),
        ("sqrt(sqrt(x)).sum()", "1/(4*x**(3/4))"),
        ("x.sum()", "ones_like(x)"),
    ],
)
def test_identities(expression: str, formula: str) -> None:
    found = run("derive", expression, "x=1,2", "--json").json
    assert found["formulas"]["x"] == formula.format(found["upstream"])


def test_a_name_for_the_upstream_gradient_is_found_whatever_is_taken() -> None:
    names = ("g", "upstream", "upstream_gradient", "g0")
    found = run("derive", "*".join(names), *(f"{name}=1,2" for name in names), "--json").json
    assert found["upstream"] == "g1"
    assert found["formulas"]["g"] == "upstream*upstream_gradient*g0*g1"


@pytest.mark.parametrize("expression", ["x > 0", "argmax(x)", "x.long()"])
def test_a_result_that_is_no_float_has_no_formula(expression: str) -> None:
    ran = run("derive", expression, "x=1.5,2")
    assert ran.status == 2
    assert "does not depend on any input through differentiable operations" in ran.stderr
