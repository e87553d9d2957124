"""`descend --explain`: the updates of every optimiser, against plain torch.optim and by their own
formulas read back from the table.
"""

import ast
import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import pytest
import torch
import torch._dynamo  # which the plain loops load; descend itself does not

from gradcli.evaluate.job import default_dtype
from tests.commands.test_descend import OPTIMIZERS
from tests.program import run

EXPRESSION = "(cos(x) + 2)*((A - 1)**2).sum() + exp(x/4) + (A**4).sum()/10"
LR = 0.05
MATRICES = {"muon"}
"""The optimisers that take matrices alone: x is then an element of A."""
START = {"x": 0.7, "A": [[1.5, -0.5], [0.25, 2.0]]}

CASES: list[tuple[str, dict[str, Any]]] = [
    ("sgd", {}),
    ("sgd", {"momentum": 0.9}),
    ("sgd", {"momentum": 0.9, "dampening": 0.25}),
    ("sgd", {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
    ("sgd", {"momentum": 0.5, "maximize": True, "weight_decay": 0.1, "lr": 0.001}),
    ("sgd", {"weight_decay": 0.1, "foreach": True}),
    ("sgd", {"momentum": 0.9, "fused": True}),
    ("adam", {}),
    ("adam", {"betas": (0.5, 0.75), "eps": 0.01}),
    ("adam", {"amsgrad": True, "maximize": True}),
    ("adam", {"weight_decay": 0.1, "fused": True}),
    ("adam", {"weight_decay": 0.1, "decoupled_weight_decay": True, "foreach": True}),
    ("adamw", {}),
    ("adamw", {"weight_decay": 0.0}),
    ("adamw", {"amsgrad": True, "weight_decay": 0.3, "maximize": True}),
    ("nadam", {}),
    ("nadam", {"weight_decay": 0.1, "momentum_decay": 0.1}),
    ("nadam", {"weight_decay": 0.1, "decoupled_weight_decay": True, "maximize": True}),
    ("radam", {}),
    ("radam", {"weight_decay": 0.1, "maximize": True}),
    ("radam", {"weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("adamax", {}),
    ("adamax", {"weight_decay": 0.1, "betas": (0.5, 0.75), "maximize": True}),
    ("adagrad", {}),
    ("adagrad", {"lr_decay": 0.5, "weight_decay": 0.1, "initial_accumulator_value": 2.0}),
    ("adagrad", {"maximize": True}),
    ("adadelta", {}),
    ("adadelta", {"weight_decay": 0.1, "rho": 0.5, "maximize": True}),
    ("rmsprop", {}),
    ("rmsprop", {"centered": True}),
    ("rmsprop", {"centered": True, "momentum": 0.9, "weight_decay": 0.1}),
    ("rmsprop", {"momentum": 0.5, "alpha": 0.5, "maximize": True}),
    ("rprop", {}),
    ("rprop", {"etas": (0.25, 1.5), "step_sizes": (0.02, 0.15), "maximize": True}),
    ("asgd", {}),
    ("asgd", {"lambd": 0.1, "alpha": 0.5, "t0": 2.0, "weight_decay": 0.1}),
    ("asgd", {"maximize": True, "lr": 0.001}),
    ("adafactor", {}),
    ("adafactor", {"weight_decay": 0.1, "d": 1.5, "beta2_decay": -0.5, "eps": (0.001, 0.1)}),
    ("adafactor", {"maximize": True, "foreach": True}),
    ("muon", {}),
    ("muon", {"nesterov": False, "weight_decay": 0.0}),
    ("muon", {"adjust_lr_fn": "match_rms_adamw", "ns_steps": 3}),
    ("lbfgs", {}),
    ("lbfgs", {"max_iter": 1}),
    ("lbfgs", {"max_iter": 4, "history_size": 3}),
    ("lbfgs", {"line_search_fn": "strong_wolfe", "max_iter": 3}),
]




def plain(
    name: str, arguments: Mapping[str, Any], dtype: torch.dtype
) -> Iterator[dict[str, torch.Tensor]]:
    """The parameters before and after each of ten steps of a loop of plain PyTorch."""
    with default_dtype(dtype):  # some optimisers keep a state in it
        leaves = {key: torch.tensor(value, requires_grad=True) for key, value in START.items()}
        if name in MATRICES:
            del leaves["x"]
        optimizer = OPTIMIZERS[name](list(leaves.values()), **{"lr": LR, **arguments})

        def closure() -> torch.Tensor:
            optimizer.zero_grad()
            A, x = leaves["A"], leaves.get("x", leaves["A"][0, 0])
            loss = (torch.cos(x) + 2) * ((A - 1) ** 2).sum() + torch.exp(x / 4)
            loss = loss + (A**4).sum() / 10
            loss.backward()  # type: ignore[no-untyped-call]
            return loss

        for _ in range(11):
            yield {key: leaf.detach().clone() for key, leaf in leaves.items()}
            optimizer.step(closure)


def words(name: str, arguments: Mapping[str, Any], dtype: str) -> list[str]:
    """The call of the same ten steps."""
    x, given = ("A[0,0]", []) if name in MATRICES else ("x", ["x=0.7"])
    given = [EXPRESSION.replace("x", x).replace("eA[0,0]p", "exp"), *given, "A=1.5,-0.5;0.25,2"]
    options = {"optimizer": name, "lr": LR, "steps": 10, "dtype": dtype}
    for key, value in arguments.items():
        text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
        if key in options:
            options[key] = text
        else:
            given += ["--set", f"{key}={text}"]
    given += [word for key, value in options.items() for word in (f"--{key}", str(value))]
    return ["descend", *given, "--explain", "--full", "--quiet"]


# the table


class Row(NamedTuple):
    """One row of a table of updates, the text of each cell."""

    step: int
    name: str
    formula: str
    filled: str
    value: str


def tables(text: str) -> dict[str, list[Row]]:
    """The rows of the table of each parameter."""
    found: dict[str, list[Row]] = {}
    step = 0
    for line in text.splitlines():
        if title := re.match(r"(\S+) by \w+\(.*\): ", line):
            rows = found.setdefault(title[1], [])
        if found and line.startswith("\u2502"):
            number, *cells = (cell.strip() for cell in line.strip("\u2502").split("\u2502"))
            step = int(number) if number.isdigit() else step
            if number != "step":
                rows.append(Row(step, *cells))
    return found


def number(text: str) -> torch.Tensor:
    return torch.tensor(ast.literal_eval(text), dtype=torch.float64)


def wide(value: Any) -> torch.Tensor:
    return torch.as_tensor(value, dtype=torch.float64)


PYTORCH = {
    "tensor": number,
    "sqrt": lambda value: wide(value).sqrt(),
    "abs": lambda value: wide(value).abs(),
    "sign": lambda value: wide(value).sign(),
    "maximum": lambda a, b: torch.maximum(wide(a), wide(b)),
    "clamp": lambda value, *ends: wide(value).clamp(*ends),
    "where": lambda mask, a, b: torch.where(torch.as_tensor(mask) > 0, wide(a), wide(b)),
    "mean": lambda value, *dims: wide(value).mean(*dims),
    "norm": lambda value: wide(value).norm(),
    "lerp": torch.lerp,
    "addmm": torch.addmm,
}


def by_hand(filled: str) -> torch.Tensor:
    """The value of a formula with its numbers, by plain PyTorch in float64."""
    text = re.sub(r"(\[+[^\[\]]*\](?:,? ?\[[^\[\]]*\])*\]*)", r"tensor('\1')", filled)
    return wide(eval(text, dict(PYTORCH)))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("name", "arguments"), CASES, ids=str)
def test_the_updates_add_up_and_the_formulas_give_the_numbers(
    name: str, arguments: dict[str, Any], dtype: str
) -> None:
    shown = run(*words(name, arguments, dtype), "--precision", "17")
    assert (shown.status, shown.stderr) == (0, "")
    found = tables(shown.stdout)
    path = list(plain(name, arguments, getattr(torch, dtype)))
    assert list(found) == list(path[0])
    near = {"rtol": 1e-10, "atol": 1e-11} if dtype == "float64" else {"rtol": 3e-5, "atol": 3e-6}
    rough = {"rtol": 0.05, "atol": 0.05} if name == "muon" else near  # it computes in bfloat16
    for parameter, rows in found.items():
        theta = path[0][parameter].double()
        for row in rows:
            if row.value.startswith("shape"):
                assert row.name == "path"  # of LBFGS: six numbers or more
                continue
            value = number(row.value)
            if row.filled:
                about = rough if row.name in ("X", "A", "P") else near
                torch.testing.assert_close(by_hand(row.filled), value, **about, msg=str(row))
            if row.name == "update":
                theta = theta + value
            if row.name == "theta":
                torch.testing.assert_close(value, path[row.step][parameter].double(), **near)
                torch.testing.assert_close(theta, path[row.step][parameter].double(), **near)
        assert [row.step for row in rows if row.name == "theta"] == list(range(1, 11))
        if name != "lbfgs":  # whose path is too long for a line
            assert all(row.filled for row in rows if row.name == "update")
