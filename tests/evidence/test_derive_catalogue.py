"""`derive` of every activation and loss of the catalogue, with every reduction and choice of its
parameters: the formula has the values of the catalogue's own `derivative`, both evaluated by plain
Python and PyTorch at new points in float64.
"""

import json
from collections.abc import Iterator
from itertools import product
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gradcli.catalogue.functions import ACTIVATIONS, LOSSES, Activation, Loss
from tests.choice import Choose
from tests.program import run
from tools.derivations import Names
from tools.derivations import run as evaluated

NO_FORMULA = {
    "step": "PyTorch has no derivative of torch.heaviside",
    "multilabel_margin": "no rule: its labels are a list that ends at the first -1",
    "hardsigmoid": "PyTorch computes 1/6 in float32, so the formula does not verify to 1e-9",
}
TARGETS = {
    "real": "randn(4,3)", "probability": "rand(4,3)", "count": "tensor([[0.,1,4],[2,0,1],[3,1,1],[0,0,5]])",
    "sign": "tensor([[1.,-1,1],[1,1,-1],[-1,-1,1],[-1,1,1]])", "class": "tensor([2,0,1,1])",
    "labels": "tensor([[2,-1,0],[0,1,-1],[1,-1,-1],[2,0,-1]])",
}  # fmt: skip
POSITIVE = {"bce"}
"""Losses whose prediction is between 0 and 1."""


class Case(NamedTuple):
    """An entry with values of its parameters; `reduction` is that of a loss."""

    entry: Activation | Loss
    settings: dict[str, Any]
    reduction: str

    @property
    def expression(self) -> str:
        given = {**self.settings, **({"reduction": self.reduction} if self.reduction else {})}
        words = [f"{name}={value!r}" for name, value in given.items()]
        return f"{self.entry.name}({', '.join([*self.entry.operands, *words])})"

    @property
    def inputs(self) -> dict[str, str]:
        if isinstance(self.entry, Activation):
            return {"x": "randn(4,3)"}
        positive = self.entry.name in POSITIVE or not self.settings.get("log_input", True)
        pred = "rand(4,3)" if positive else "randn(4,3)"
        return {"pred": pred, "target": TARGETS[self.entry.target]}


def cases() -> Iterator[Case]:
    entries: list[Activation | Loss] = [*ACTIVATIONS.values(), *LOSSES.values()]
    for entry in entries:
        choices = {
            each.name: each.choices
            for each in entry.parameters
            if each.choices and each.name != "reduction"
        }
        if any(each.name == "log_input" for each in entry.parameters):
            choices["log_input"] = (True, False)
        if any(each.name == "log_target" for each in entry.parameters):
            choices["log_target"] = (True, False)
        reductions = [p.choices for p in entry.parameters if p.name == "reduction"] or [("",)]
        for values in product(*choices.values()):
            for reduction in reductions[0]:
                yield Case(entry, dict(zip(choices, values, strict=True)), str(reduction))


def by_the_catalogue(case: Case, inputs: dict[str, Tensor], upstream: Tensor) -> Tensor:
    """The gradient by the first operand, as the entry's `derivative` says, row by row."""
    entry, (first, *_) = case.entry, inputs.values()
    bound = {each.name: each.default for each in entry.parameters} | case.settings
    bound = {name: 1 if value is None else value for name, value in bound.items()}
    assert entry.derivative is not None
    if "[target]" in entry.derivative or entry.mixes == "row":
        if bound.get("weight") == 1:
            bound["weight"] = torch.ones(first.shape[-1])
        rows = [
            evaluated(entry.derivative, Names({**bound, **dict(zip(inputs, each, strict=True))}))
            for each in zip(*inputs.values(), strict=True)
        ]
        local = torch.stack([torch.as_tensor(row).expand(first.shape[-1]) for row in rows])
    else:
        local = torch.as_tensor(evaluated(entry.derivative, Names({**bound, **inputs})))
    count = upstream.numel()
    if isinstance(entry, Loss) and not entry.reduction:
        elements = len(first) if entry.mixes == "row" else first.numel()
        match case.reduction:
            case "mean":
                return local.expand(first.shape) / elements
            case "batchmean":
                return local.expand(first.shape) / len(first)
            case "none" if entry.mixes == "row":
                return local * upstream[:, None]
    return local.expand(first.shape) * (upstream if count > 1 else 1)


def redrawn(given: str, seed: int) -> Tensor:
    torch.manual_seed(seed)
    made = {"tensor": torch.tensor, "randn": torch.randn, "rand": torch.rand}
    return torch.as_tensor(eval(given, made))


def test_formulas_are_the_catalogues_derivatives(double: None, choose: Choose[Case]) -> None:
    wanted = choose(cases(), lambda case: case.entry.name)
    jobs = [
        json.dumps({"command": "derive", "expression": each.expression, "inputs": each.inputs, "wrt": [each.entry.operands[0]]})
        for each in wanted
    ]  # fmt: skip
    answers = [
        *map(json.loads, run("batch", "--jobs", "1", stdin="\n".join(jobs)).stdout.splitlines())
    ]
    missing = set()
    for case, answer in zip(wanted, answers, strict=True):
        first = case.entry.operands[0]
        text = answer.get("formulas", {}).get(first)
        if text is None:
            missing.add(case.entry.name)
            continue
        for seed in (1, 2, 3):
            inputs = {
                name: redrawn(given, seed + 10 * place)
                for place, (name, given) in enumerate(case.inputs.items())
            }
            for upstream in upstreams(case, inputs):
                names = Names(
                    {**inputs, **({answer["upstream"]: upstream} if answer["upstream"] else {})}
                )
                found = torch.as_tensor(evaluated(text, names)).double().expand(inputs[first].shape)
                expected = by_the_catalogue(case, inputs, upstream)
                if isinstance(case.entry, Activation) and case.entry.mixes:  # the diagonal alone
                    found = found * (upstream != 0)
                scale = max(1.0, float(expected.abs().max()))
                assert bool(((found - expected).abs() <= 1e-9 * scale).all()), (case.expression, text)  # fmt: skip
    assert missing == NO_FORMULA.keys()


def upstreams(case: Case, inputs: dict[str, Tensor]) -> Iterator[Tensor]:
    """Upstream gradients: random ones, but where only the diagonal of a Jacobian is known one-hot."""
    shape = (4, 3)
    if isinstance(case.entry, Loss):
        if case.reduction != "none":
            yield torch.ones(())
            return
        shape = (4,) if case.entry.mixes == "row" else (4, 3)  # type: ignore[assignment]
    if isinstance(case.entry, Activation) and case.entry.mixes:
        for column in torch.eye(3):
            yield column.expand(shape)
        return
    yield torch.randn(shape)
