"""`descend --explain`: the updates of every optimiser, against plain torch.optim and by their own
formulas read back from the table.
"""

import ast
import inspect
import json
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from gradcli.catalogue.optimizers import LINES
from gradcli.commands.descend import updates
from gradcli.evaluate.job import default_dtype
from tests.choice import first_usual, in_rows, rare
from tests.commands.test_descend import OPTIMIZERS
from tests.program import run

EXPRESSION = "(cos(x) + 2)*((A - 1)**2).sum() + exp(x/4) + (A**4).sum()/10"
LR = 0.05
STEPS = 7
"""From the sixth on, RAdam rectifies."""
MATRICES = {"muon"}
"""The optimisers that take matrices alone: x is then an element of A."""
FOR_NUMBERS = sorted(set(OPTIMIZERS) - {"sparseadam", "muon"})
"""The optimisers that take single numbers."""
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
    ("lbfgs", {"max_iter": 6}),
    ("lbfgs", {"max_iter": 1}),
    ("lbfgs", {"max_iter": 4, "history_size": 3}),
    ("lbfgs", {"line_search_fn": "strong_wolfe", "max_iter": 3}),
]
CASES = [
    (name, arguments)
    for name, arguments in CASES
    if name in OPTIMIZERS
    and arguments.keys() <= inspect.signature(OPTIMIZERS[name]).parameters.keys()
]  # PyTorch has Muon since 2.9, and an Adam with decoupled weight decay since 2.7
CASES.sort(key=lambda case: not case[1])  # those with settings are tried first


def plain(
    name: str, arguments: Mapping[str, Any], dtype: torch.dtype
) -> Iterator[dict[str, torch.Tensor]]:
    """The parameters before and after each of the steps of a loop of plain PyTorch."""
    with default_dtype(dtype):  # some optimisers keep a state in it
        leaves = {key: torch.tensor(value, requires_grad=True) for key, value in START.items()}
        if name in MATRICES:
            del leaves["x"]
        optimizer = OPTIMIZERS[name](list(leaves.values()), **{"lr": LR, **arguments})

        def closure() -> Any:
            optimizer.zero_grad()
            a, x = leaves["A"], leaves.get("x", leaves["A"][0, 0])
            loss = (torch.cos(x) + 2) * ((a - 1) ** 2).sum() + torch.exp(x / 4)
            loss = loss + (a**4).sum() / 10
            loss.backward()  # type: ignore[no-untyped-call]
            return loss

        for _ in range(STEPS + 1):
            yield {key: leaf.detach().clone() for key, leaf in leaves.items()}
            optimizer.step(closure)


def words(name: str, arguments: Mapping[str, Any], dtype: str) -> list[str]:
    """The call of the same steps."""
    x, given = ("A[0,0]", []) if name in MATRICES else ("x", ["x=0.7"])
    given = [EXPRESSION.replace("x", x).replace("eA[0,0]p", "exp"), *given, "A=1.5,-0.5;0.25,2"]
    options = {"optimizer": name, "lr": LR, "steps": STEPS, "dtype": dtype}
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


@pytest.mark.parametrize("dtype", ["float64", rare("float32")])
@pytest.mark.parametrize("case", first_usual(CASES, lambda case: case[0]), ids=str)
def test_the_updates_add_up_and_the_formulas_give_the_numbers(
    case: tuple[str, dict[str, Any]], dtype: str
) -> None:
    """Of each optimiser, with some settings."""
    name, arguments = case
    shown = run(*words(name, arguments, dtype), "--precision", "17")
    assert (shown.status, shown.stderr) == (0, "")
    found = tables(shown.stdout)
    path = list(plain(name, arguments, getattr(torch, dtype)))
    assert list(found) == list(path[0])
    near = 1e-10 if dtype == "float64" else 3e-5
    for parameter, rows in found.items():
        theta = path[0][parameter].double()
        for row in rows:
            if row.value.startswith("shape"):
                assert row.name == "path"  # of LBFGS: six numbers or more
                continue
            value = number(row.value)
            if row.filled:
                rough = name == "muon" and row.name in ("X", "A", "P")  # they are in bfloat16
                assert close(by_hand(row.filled), value, 0.05 if rough else near), row
            if row.name == "update":
                theta = theta + value
            if row.name == "theta":
                assert close(value, path[row.step][parameter], near), row
                assert close(theta, path[row.step][parameter], near), row
        assert [row.step for row in rows if row.name == "theta"] == list(range(1, STEPS + 1))
        if name != "lbfgs":  # whose path is too long for a line
            assert all(row.filled for row in rows if row.name == "update")


def close(found: torch.Tensor, expected: torch.Tensor, bound: float) -> bool:
    return torch.allclose(found, expected.double(), rtol=bound, atol=bound / 10)


def test_the_first_three_steps_of_adam_by_hand() -> None:
    """2*x**2 at 1: the gradient is 4, so m = 0.1*4, v = 0.001*16, and the first step is the rate."""
    shown = explained("2*x**2", "x=1", "--optimizer", "adam", "--dtype", "float64", "--steps", "9")
    assert [update["step"] for update in shown["updates"]] == [1, 2, 3]
    x, m, v = 1.0, 0.0, 0.0
    for t, update in enumerate(shown["updates"], 1):
        g = 4 * x
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        m_hat, v_hat = m / (1 - 0.9**t), v / (1 - 0.999**t)
        step = -0.1 * m_hat / (math.sqrt(v_hat) + 1e-8)
        assert update["gradient"] == pytest.approx(g, rel=1e-12)
        state = {"m": m, "v": v, "m_hat": m_hat, "v_hat": v_hat}
        assert update["state"] == pytest.approx(state, rel=1e-12)
        assert update["update"] == pytest.approx(step, rel=1e-12)
        x += step
    first = shown["updates"][0]
    assert first["state"] == pytest.approx({"m": 0.4, "v": 0.016, "m_hat": 4, "v_hat": 16})
    assert first["update"] == pytest.approx(-0.1, rel=1e-8)
    assert {*first} == {"step", "parameter", "gradient", "state", "update"}
    assert shown["ledger"][-1]["product"] == 4.0


@pytest.mark.smoke
def test_the_table_says_what_a_student_computes() -> None:
    shown = run("descend", "2*x**2", "x=1", "--optimizer", "adam", "--explain").stdout
    rows = tables(shown)["x"]
    assert [(row.name, row.filled, row.value) for row in rows[:7]] == [
        ("g", "", "4"),
        ("m", "0.9*0 + (1 - 0.9)*4", "0.4"),
        ("v", "0.999*0 + (1 - 0.999)*4**2", "0.016"),
        ("m_hat", "0.4/(1 - 0.9**1)", "4"),
        ("v_hat", "0.016/(1 - 0.999**1)", "16"),
        ("update", "-0.1*4/(sqrt(16) + 1e-8)", "-0.1"),
        ("theta", "1 + (-0.1)", "0.900000"),
    ]
    assert "the first 3 of 100 steps, --full shows all" in shown
    assert shown.index("Chain rule: 2*x**2") < shown.index("x by Adam(lr=0.1)")


def test_momentum_by_hand() -> None:
    """Nesterov's momentum, with a weight decay: b' = mu b + g, and the step is g + mu b'."""
    words = ["x**2/2", "x=1", "--set", "momentum=0.5", "--set", "nesterov=true"]
    x, buffer = 1.0, 0.0
    for update in explained(*words, "--set", "weight_decay=0.25", "--dtype", "float64")["updates"]:
        assert update["gradient"] == pytest.approx(x, rel=1e-12)
        g = x + 0.25 * x
        buffer = 0.5 * buffer + g
        g += 0.5 * buffer
        assert update["state"] == pytest.approx({"g": g, "momentum_buffer": buffer}, rel=1e-12)
        assert update["update"] == pytest.approx(-0.1 * g, rel=1e-12)
        x -= 0.1 * g


@pytest.mark.parametrize("name", first_usual(FOR_NUMBERS, in_rows(3, FOR_NUMBERS)))
def test_a_parameter_of_one_number_fits_eighty_columns(name: str) -> None:
    words = ["descend", "log(cosh(x - 1))", "x=-3", "--optimizer", name, "--explain"]
    text = run(*words, env={"COLUMNS": "80"}).stdout
    table = text[text.index("\nx by ") :]
    assert table.count(" step ") == 1, "in one piece"
    assert max(map(len, table.splitlines())) <= 80


def test_json_and_the_table_hold_the_same_steps() -> None:
    words = ["x**4", "x=1", "y=2", "--wrt", "x", "--steps", "5", "--lr", "0.01"]
    few, all_of_them = explained(*words)["updates"], explained(*words, "--full")["updates"]
    assert few == all_of_them[:3]
    assert [update["step"] for update in all_of_them] == [1, 2, 3, 4, 5]
    assert run("descend", *words, "--explain", "--full", "--get", "updates.4.update").status == 0
    assert explained("x**4", "x=1", "--steps", "0")["updates"] == []
    assert "updates" not in run("descend", *words, "--json").json
    refused = run("descend", *words, "--full", "--json")
    assert (refused.status, refused.stdout) == (2, "")
    job: dict[str, Any] = {"command": "descend", "expression": "x**4", "inputs": {"x": 1, "y": 2}}
    job |= {"wrt": ["x"], "steps": 5, "lr": 0.01, "explain": True}
    answers = run("batch", stdin=json.dumps(job) + "\n" + json.dumps(job | {"full": True})).stdout
    first, second = map(json.loads, answers.splitlines())
    assert first["updates"] == few
    assert second["error"]["kind"] == "usage"


def test_files_hold_the_updates(tmp_path: Path) -> None:
    words = ["descend", "(A**2).sum()*x", "A=1,2", "x=1", "--explain", "--set", "momentum=0.9"]
    run(*words, "--out", "u.npz", cwd=str(tmp_path))
    found = np.load(tmp_path / "u.npz")
    updates = run(*words, "--json").json["updates"]
    assert np.allclose(
        found["updates.2.state.momentum_buffer"], updates[2]["state"]["momentum_buffer"], 1e-7
    )
    assert np.allclose(found["updates.5.update"], updates[5]["update"], 1e-7)


def test_a_parameter_off_the_path_has_no_gradient_and_no_state() -> None:
    *_, update = explained("x**2", "x=1", "q=5,6", "--optimizer", "adam")["updates"]
    assert update == {"step": 3, "parameter": "q", "gradient": None, "state": {}, "update": [0, 0]}


def test_numbers_are_put_in_only_where_they_can_be_read() -> None:
    words = ["descend", "(A**2).sum() + (w**4).sum()", "A=zeros(3,3)", "w=1,2,3,4,5,6", "--explain"]
    found = tables(run(*words).stdout)
    assert [row.filled for row in found["A"]] == [""] * 9
    assert found["w"][1].filled == "-0.1*[4, 32, 108, 256, 500, 864]"


SPARSE = ["(F.embedding(i, W, sparse=True)**4).sum()", "i=tensor([0,2,2])", "W=1,2;3,4;0.5,0.25"]


def test_sparse_adam_moves_what_the_gradient_has() -> None:
    w = torch.tensor([[1.0, 2], [3, 4], [0.5, 0.25]], requires_grad=True)
    optimizer = torch.optim.SparseAdam([w], lr=0.1)
    before = w.detach().clone()
    words = ["--optimizer", "sparseadam", "--steps", "10", "--full"]
    for update in explained(*SPARSE, *words)["updates"]:
        optimizer.zero_grad()
        i = torch.tensor([0, 2, 2])
        (torch.nn.functional.embedding(i, w, sparse=True) ** 4).sum().backward()  # type: ignore[no-untyped-call]
        optimizer.step()  # type: ignore[no-untyped-call]
        moved = torch.tensor(update["update"])
        torch.testing.assert_close(before + moved, w.detach())
        assert update["update"][1] == [0, 0]
        kept = optimizer.state[w]
        assert torch.allclose(torch.tensor(update["state"]["m"]), kept["exp_avg"])
        before = w.detach().clone()
    assert run("descend", *SPARSE, "--explain", "--json").json["updates"][0]["state"] == {}


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        (name, "float16") if name in ("adam", "lbfgs", "rprop") else rare(name, "float16")
        for name in sorted(set(OPTIMIZERS) - {"sparseadam"})
    ]
    + [rare(name, "bfloat16") for name in ("adam", "lbfgs", "muon", "rprop") if name in OPTIMIZERS],
)
def test_short_numbers_are_followed_too(name: str, dtype: str) -> None:
    """Their rounding, overflow and underflow are PyTorch's, and no fault of the formulas."""
    words = ["300*A[0,0]**2 + 1e-3*(A**4).sum()", "A=2,-1;0.01,0.02", "--optimizer", name]
    if name == "muon":  # which overwrites its buffer if that is in bfloat16
        words += ["--set", "nesterov=false"]
    shown = explained(*words, "--dtype", dtype, "--steps", "10", "--full")
    for number, update in enumerate(shown["updates"]):
        values = [step["parameters"]["A"] for step in shown["steps"][number : number + 2]]
        start, end, moved = (np.array(each, float) for each in (*values, update["update"]))
        kept = np.isfinite(end)  # where a small eps has become 0, there may be 0/0
        near = 4 * torch.finfo(getattr(torch, dtype)).eps
        np.testing.assert_allclose((start + moved)[kept], end[kept], rtol=near, atol=near)
    assert shown["updates"]


# another PyTorch, and a fault of ours


def test_without_the_state_that_the_formulas_are_about(monkeypatch: pytest.MonkeyPatch) -> None:
    unknown = tuple(
        line._replace(kept=line.kept and f"other_{line.kept}") for line in LINES["adam"]
    )
    for lines in ({**LINES, "adam": unknown}, {}):
        monkeypatch.setattr(updates, "LINES", lines)
        words = ["descend", "2*x**2", "x=1", "--optimizer", "adam", "--explain"]
        shown = run(*words, "--json", here=True).json
        assert [note["code"] for note in shown["notes"]] == ["pytorch"]
        first = shown["updates"][0]
        assert first["state"] == pytest.approx({"step": 1, "exp_avg": 0.4, "exp_avg_sq": 0.016})
        assert first["update"] == pytest.approx(-0.1)
        rows = tables(run(*words, here=True).stdout)["x"]
        assert {row.name for row in rows if row.filled} == {"theta"}


def test_a_wrong_formula_is_a_fault_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, formula in (
        ("m", "beta1*m + (1 - beta2)*g"),
        ("update", "-lr*m/(sqrt(v_hat) + eps)"),
    ):
        lines = tuple(
            line._replace(formula=formula) if line.name == name else line for line in LINES["adam"]
        )
        monkeypatch.setattr(updates, "LINES", {**LINES, "adam": lines})
        shown = run("descend", "2*x**2", "x=1", "--optimizer", "adam", "--explain", here=True)
        assert (shown.status, shown.stdout) == (70, "")
        assert f"{name} = {formula}" in shown.stderr


def explained(*words: str) -> Any:
    return run("descend", *words, "--explain", "--json").json
