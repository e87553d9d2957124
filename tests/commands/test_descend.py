"""`descend`: every optimiser of torch.optim against a plain loop, published minima, and what ends a
descent.
"""

import inspect
import json
import math
import os
import pty
import re
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gradcli.catalogue.optimizers import NAMES
from gradcli.cli import progress
from gradcli.commands.batch.lines import answer
from gradcli.commands.batch.plan import Plans
from gradcli.commands.dispatch import compute
from gradcli.commands.perceptron.request import Perceptron
from gradcli.evaluate.job import default_dtype
from gradcli.options.check import check
from gradcli.options.fill import from_words
from tests.choice import rare
from tests.program import BASE, child, fork, printed, run

HIMMELBLAU = "(x**2 + y - 11)**2 + (x + y**2 - 7)**2"
ROSENBROCK = "(1-x)**2 + 100*(y-x**2)**2"
LINE = ["mse(w*x + b, y)", "x=1,2,3", "y=3,5,8", "w=0.5", "b=0", "--wrt", "w,b"]

OPTIMIZERS = {
    name.lower(): kind
    for name, kind in vars(torch.optim).items()
    if inspect.isclass(kind)
    and issubclass(kind, torch.optim.Optimizer)
    and kind is not torch.optim.Optimizer
}


def descend(*words: str) -> Any:
    return run("descend", *words, "--json").json


def plain(optimizer: str, steps: int, **arguments: Any) -> list[list[float]]:
    """The line through three points by a loop of plain PyTorch: step, value, w, b, in float64."""
    with default_dtype(torch.float64):  # some optimisers keep a state in it
        x, y = torch.tensor([[1.0, 2, 3], [3, 5, 8]])
        w, b = torch.tensor(0.5, requires_grad=True), torch.tensor(0.0, requires_grad=True)
        chosen = OPTIMIZERS[optimizer]([w, b], **{"lr": 0.1, **arguments})

        def closure() -> Any:
            chosen.zero_grad()
            loss = torch.nn.functional.mse_loss(w * x + b, y)
            loss.backward()  # type: ignore[no-untyped-call]
            return loss

        rows = []
        for step in range(steps + 1):
            rows.append(
                [step, torch.nn.functional.mse_loss(w * x + b, y).item(), w.item(), b.item()]
            )
            chosen.step(closure)
    return rows


def rows(result: Any) -> list[list[float]]:
    return [[step["step"], step["value"], *step["parameters"].values()] for step in result["steps"]]


def test_the_table_of_names_is_pytorchs_own() -> None:
    assert set(NAMES) == {*OPTIMIZERS, "muon"}  # which PyTorch has since 2.9


@pytest.mark.filterwarnings("ignore:Converting a tensor with requires_grad")  # LBFGS, in 2.8
@pytest.mark.parametrize("name", sorted(set(OPTIMIZERS) - {"sparseadam", "muon"}))
def test_every_optimiser_takes_the_steps_of_a_plain_loop(name: str) -> None:
    result = descend(*LINE, "--optimizer", name, "--steps", "10", "--dtype", "float64")
    for found, expected in zip(rows(result), plain(name, 10), strict=True):
        assert found == pytest.approx(expected, rel=1e-12)
    assert result["stopped"] == "steps"


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="new in PyTorch 2.9")
def test_muon_takes_matrices_alone() -> None:
    result = descend(
        "((A - 1)**2).sum()", "A='1,2;3,4'".replace("'", ""), "--optimizer", "MUON", "--steps", "5"
    )
    a = torch.tensor([[1.0, 2], [3, 4]], requires_grad=True)
    muon = torch.optim.Muon([a], lr=0.1)
    for step in result["steps"]:
        assert torch.allclose(torch.tensor(step["parameters"]["A"]), a.detach(), rtol=1e-6)
        loss = ((a - 1) ** 2).sum()
        assert step["value"] == pytest.approx(loss.item(), rel=1e-6)
        muon.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        muon.step()  # type: ignore[no-untyped-call]
    shown = run("descend", *LINE, "--optimizer", "muon")
    assert (shown.status, shown.stdout) == (2, "")
    assert "2D parameters" in shown.stderr


@pytest.mark.parametrize(
    ("name", "words", "arguments"),
    [
        ("sgd", ["momentum=0.9", "nesterov=true"], {"momentum": 0.9, "nesterov": True}),
        rare("sgd", ["weight_decay=1/2"], {"weight_decay": 0.5}),
        ("adam", ["betas=0.5,0.75", "amsgrad=True"], {"betas": (0.5, 0.75), "amsgrad": True}),
        rare("adam", ["betas=(0.5, 0.75)"], {"betas": (0.5, 0.75)}),
        (
            "lbfgs",
            ["line_search_fn=strong_wolfe", "max_iter=3"],
            {"line_search_fn": "strong_wolfe", "max_iter": 3},
        ),
        ("lbfgs", ["max_eval=none", "max_iter=2"], {"max_iter": 2}),
    ],
)
def test_arguments_reach_the_optimiser(
    name: str, words: list[str], arguments: dict[str, Any]
) -> None:
    given = [part for word in words for part in ("--set", word)]
    result = descend(
        *LINE, "--optimizer", name, "--steps", "8", "--lr", "0.05", "--dtype", "float64", *given
    )
    assert rows(result) == [
        pytest.approx(row, rel=1e-12) for row in plain(name, 8, lr=0.05, **arguments)
    ]
    assert rows(result) != [pytest.approx(row, rel=1e-12) for row in plain(name, 8, lr=0.05)]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("mse(w*x, y)",), "x, y and w move, and so does the target of mse (y)"),
        (
            ("nn.L1Loss()(w*x, target=y - w)",),
            "x, y and w move, and so does the target of l1 (y, w)",
        ),
        (
            ("loss = nn.HuberLoss(); loss(w*x, y)",),
            "x, y and w move, and so does the target of huber (y)",
        ),
        (
            ("cross_entropy(w*x, softmax(y, 0))",),
            "x, y and w move, and so does the target of cross_entropy (y)",
        ),
        (("half_sse(2*x, y)",), "x and y move, and so does the target of half_sse (y)"),
        (("mse(w*x, y)", "--wrt", "w,x,y"), ""),
        (("mse(w*x, y)", "--steps", "0"), ""),
        (("mse(c*w, y.detach())",), ""),
        (("mse(c*w, 0*y)",), ""),  # its gradient is 0
        (("mse(ones(2), y)",), ""),  # what else should move
        (("x.square().sum() + y.square().sum()",), ""),  # a function of x and y
        (("c*w.square() + c**2",), ""),
    ],
)
def test_a_target_that_moves_is_noted_and_only_then(words: tuple[str, ...], said: str) -> None:
    values = {"x": "1,2", "y": "0,3", "w": "0.5", "c": "2"}
    inputs = [f"{name}={value}" for name, value in values.items()]
    shown = descend(*words, *inputs, *(() if "--steps" in words else ("--steps", "2")))
    texts = [note["text"] for note in shown["notes"] if note["code"] == "moving-target"]
    assert texts == ([f"{said}; --wrt NAMES keeps all other inputs fixed"] if said else [])


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        (
            "(w*x - y).square().mean()",
            "x, y and w move; if x and y are data, --wrt w,c keeps them fixed",
        ),
        ("mse(w*x, y.detach())", "x and w move; if x is data, --wrt w,c keeps it fixed"),
        (
            "net = nn.Linear(2, 1); (net(x) - c).square().sum()",
            "x, c, net.weight and net.bias move; if x is data, --wrt w,c,net keeps it fixed",
        ),
        ("(c*target).sum()", "c and target move; if target is data, --wrt w,c keeps it fixed"),
        *(
            (
                f"torch.norm(y - {name}, 2).pow(2)",
                f"y and {name} move; if y is data, --wrt w,c,{name} keeps it fixed",
            )
            for name in ("pred", "predictions", "y_hat", "o", "output")
        ),
    ],
)
def test_names_of_data_beside_names_of_parameters_are_noted(expression: str, said: str) -> None:
    inputs = ["x=1,2", "y=0,3", "w=0.5", "c=2", *(["target=1,2"] if "target" in expression else [])]
    if predicted := re.search(r"y - (\w+),", expression):
        inputs.append(f"{predicted[1]}=2,2")
    shown = descend(expression, *inputs, "--steps", "2")
    texts = [note["text"] for note in shown["notes"] if note["code"] == "moving-target"]
    assert texts == [said]
    kept = descend(expression, *inputs, "--steps", "2", *said.partition("data, ")[2].split()[:2])
    assert "moving-target" not in [note["code"] for note in kept["notes"]]


def test_logistic_regression_is_that_of_numpy(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(40, 2))
    y = (x @ [2.0, -1.0] + 0.3 * rng.normal(size=40) > 0).astype(float)
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "y.npy", y)
    words = [
        "bce_with_logits(X @ w + b, y)",
        "X=@x.npy",
        "y=@y.npy",
        "w=0,0",
        "b=0",
        "--wrt",
        "w,b",
        "--lr",
        "0.5",
    ]
    result = run("descend", *words, "--dtype", "float64", "--json", cwd=str(tmp_path)).json
    w, b = np.zeros(2), 0.0
    for step in result["steps"]:
        z = x @ w + b
        p = 1 / (1 + np.exp(-z))
        assert step["value"] == pytest.approx(
            -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p)), rel=1e-9
        )
        assert step["parameters"]["w"] == pytest.approx(w, rel=1e-9)
        assert step["parameters"]["b"] == pytest.approx(b, rel=1e-9)
        w, b = w - 0.5 * x.T @ (p - y) / 40, b - 0.5 * float(np.mean(p - y))
    assert len(result["steps"]) == 101
    assert result["steps"][-1] == {
        "step": 100,
        "value": result["value"],
        "parameters": result["parameters"],
    }


@pytest.mark.parametrize(
    ("start", "minimum"),
    [((3, 3), (3, 2)), rare((-3, 3), (-2.805118, 3.131312)), rare((-3, -3), (-3.779310, -3.283186)),
     ((3, -3), (3.584428, -1.848126))],
)  # fmt: skip
def test_himmelblaus_four_minima(start: tuple[int, int], minimum: tuple[float, float]) -> None:
    words = [
        HIMMELBLAU,
        f"x={start[0]}",
        f"y={start[1]}",
        "--lr",
        "0.01",
        "--steps",
        "300",
        "--dtype",
        "float64",
    ]
    result = descend(*words)
    assert (result["parameters"]["x"], result["parameters"]["y"]) == pytest.approx(
        minimum, abs=1e-6
    )
    assert result["value"] == pytest.approx(0, abs=1e-12)


def test_rosenbrocks_valley_ends_at_one_one() -> None:
    words = [ROSENBROCK, "x=-1.2", "y=1", "--optimizer", "LBFGS", "--lr", "1", "--dtype", "float64"]
    result = descend(
        *words,
        "--set",
        "line_search_fn=strong_wolfe",
        "--set",
        "tolerance_change=0",
        "--min-move",
        "1e-9",
    )
    assert (result["parameters"]["x"], result["parameters"]["y"]) == pytest.approx((1, 1), abs=1e-6)
    assert result["stopped"] == "tolerance"
    assert len(result["steps"]) < 10


def test_the_start_is_row_zero_and_the_rows_are_one_more_than_the_steps() -> None:
    result = descend("(x-3)**2", "x=0", "--steps", "2", "--dtype", "float64")
    assert rows(result) == [
        [0, 9, 0],
        [1, pytest.approx(5.76), pytest.approx(0.6)],
        [2, pytest.approx(3.6864), 1.08],
    ]
    assert rows(descend("(x-3)**2", "x=0", "--steps", "0")) == [[0, 9, 0]]
    common = {"command", "dtype", "inputs", "defaults", "notes"}
    assert set(result) == common | {"expression", "steps", "parameters", "value", "stopped"}


def test_a_value_that_is_the_parameter_itself_is_that_of_its_step() -> None:
    for words in (["x", "x=1"], ["x[1]", "x=5,1"], ["x.reshape(1)", "x=1"]):
        values = [
            step["value"] for step in descend(*words, "--steps", "3", "--dtype", "float64")["steps"]
        ]
        assert values == pytest.approx([1, 0.9, 0.8, 0.7], rel=1e-12)


def test_a_hundred_steps_of_a_tenth_unless_told_otherwise() -> None:
    result = descend("(x-3)**2", "x=0", "--dtype", "float64")
    assert len(result["steps"]) == 101
    assert result["parameters"]["x"] == pytest.approx(3 - 3 * 0.8**100, rel=1e-12)


def test_only_what_is_chosen_moves() -> None:
    result = descend("((a*x - 1)**2).sum()", "a=2,3", "x=1", "--wrt", "x", "--steps", "3")
    assert set(result["parameters"]) == {"x"}
    assert result["inputs"]["a"] == [2.0, 3.0]
    both = descend("cross_entropy(W @ x, y)", "W=1,2;3,4", "x=1,1", "y=0", "--steps", "1")
    assert set(both["parameters"]) == {"W", "x"}, "class indices are no parameters"


def test_it_stops_where_nothing_moves_any_more() -> None:
    result = descend("(x-3)**2", "x=0", "--min-move", "0.01", "--dtype", "float64")
    moves = [abs(b[2] - a[2]) for a, b in zip(rows(result), rows(result)[1:], strict=False)]
    assert result["stopped"] == "tolerance"
    assert moves[-1] <= 0.01 < moves[-2]
    assert descend("(x-3)**2", "x=3", "--min-move", "0")["steps"][-1]["step"] == 1


def test_a_descent_that_runs_away_says_so() -> None:
    result = descend("(x-3)**2", "x=0", "--lr", "2")
    assert result["stopped"] == "diverged"
    assert result["value"] == "Infinity"
    assert result["steps"][-1]["step"] == len(result["steps"]) - 1 < 100
    (note,) = result["notes"]
    assert note["code"] == "not-a-number"
    assert "float64" in note["text"]
    start = descend("log(x)", "x=-1")
    assert (start["stopped"], len(start["steps"]), start["value"]) == ("diverged", 1, "NaN")


def test_a_parameter_off_the_path_stays_and_is_noted() -> None:
    result = descend("x**2", "x=1", "q=5", "--steps", "3")
    assert result["parameters"]["q"] == 5.0
    assert [note["code"] for note in result["notes"]] == ["unused-input"]


def test_random_expressions_are_seeded_once() -> None:
    words = ["dropout(x, 0.5).sum()", "x=rand(6)", "--steps", "5", "--seed", "4"]
    torch.manual_seed(4)
    x = torch.rand(6, requires_grad=True)
    for step in descend(*words)["steps"]:
        assert step["parameters"]["x"] == pytest.approx(x.tolist(), rel=1e-6)
        loss = torch.nn.functional.dropout(x, 0.5).sum()
        assert step["value"] == pytest.approx(loss.item(), rel=1e-6)
        x = (x - 0.1 * torch.autograd.grad(loss, x)[0]).detach().requires_grad_()


# forms


def test_the_table_chooses_steps_and_full_shows_all() -> None:
    text = run("descend", "(x-3)**2", "x=0").stdout
    shown = [
        int(line.split("\u2502")[1])
        for line in text.splitlines()
        if line.startswith("\u2502") and "step" not in line
    ]
    assert shown == list(range(0, 101, 10))
    assert "SGD(lr=0.1)" in text.splitlines()[0]
    assert "\u2824 log10 of value\n" in text
    assert text.count(" step\n") == 1
    assert "37 \u2502" in run("descend", "(x-3)**2", "x=0", "--full").stdout
    plain_text = run("descend", "(x-3)**2", "x=0", env={"PYTHONIOENCODING": "ascii"}).stdout
    assert plain_text.isascii()
    assert "*" in plain_text.split("stopped")[1]


def test_the_curve_falls_from_the_largest_to_the_smallest_value() -> None:
    text = run(
        "descend", "(x-3)**2", "x=0", "--steps", "40", env={"PYTHONIOENCODING": "ascii"}
    ).stdout
    lines = text.split("log10 of value\n")[1].splitlines()
    marks = [re.split(r"[|+]", line, maxsplit=1)[1] for line in lines[:-2]]
    drawn = [mark for mark in marks if "*" in mark]
    assert drawn[0].index("*") < 8
    assert drawn[-1].rindex("*") > 50


def test_csv_is_a_row_per_step() -> None:
    lines = run(
        "descend", "((w - 1)**2).sum()", "w=0,3", "--steps", "30", "--csv"
    ).stdout.splitlines()
    assert lines[0] == "step,value,w[0],w[1]"
    assert lines[1] == "0,5.0,0.0,3.0"
    assert len(lines) == 32


def test_files_hold_every_array_or_the_parameters(tmp_path: Path) -> None:
    run(
        "descend",
        "((w - 1)**2).sum()",
        "w=0,3",
        "--steps",
        "2",
        "--out",
        "d.npz",
        cwd=str(tmp_path),
    )
    found = np.load(tmp_path / "d.npz")
    assert set(found) == {
        "value",
        "parameters.w",
        "steps.step",
        "steps.value",
        "steps.parameters.w",
    }
    assert found["steps.parameters.w"].shape == (3, 2)
    run(
        "descend",
        "((w - 1)**2).sum()",
        "w=0,3",
        "--steps",
        "2",
        "--out",
        "w.npy",
        cwd=str(tmp_path),
    )
    assert np.array_equal(np.load(tmp_path / "w.npy"), found["parameters.w"])


@pytest.mark.parametrize(
    "words",
    [
        rare(LINE),
        [*LINE, "--optimizer", "adam", "--set", "betas=0.9,0.9", "--dtype", "float64"],
        [ROSENBROCK, "x=-1", "y=2", "--optimizer", "lbfgs", "--set", "line_search_fn=strong_wolfe"],
        rare(["x = x*2; loss = (x - 3)**2; loss", "x=1"]),
        ["a = a + 1; x = a*x; (x**2).sum()", "x=1,2", "a=3", "--wrt", "x", "--lr", "0.01"],
        rare(["n = x*2; n**2", "x=1", "--optimizer", "lbfgs"]),
        ["dropout(x, 0.5).sum()", "x=rand(6)"],
        ["(optimizer - step)**2", "optimizer=1", "step=2"],
        [
            "cross_entropy(W @ x, y)",
            "W=1,2;3,4",
            "x=1,1",
            "y=0",
            "--set",
            "momentum=0.5",
            "--set",
            "nesterov=true",
        ],
    ],
    ids=lambda words: words[0],
)
def test_the_program_prints_the_same_numbers(words: list[str]) -> None:
    code = run("descend", *words, "--steps", "6", "--code").stdout
    result = descend(*words, "--steps", "6")
    lines = printed(code).splitlines()
    assert len(lines) == 7
    for line, step in zip(lines, result["steps"], strict=True):
        number, value, rest = line.split(" ", 2)
        assert int(number) == step["step"]
        assert float(value) == pytest.approx(step["value"], rel=1e-6)
        flat = [
            float(word)
            for word in rest.replace("[", " ").replace("]", " ").replace(",", " ").split()
        ]
        assert flat == pytest.approx(
            np.concatenate([np.ravel(p) for p in step["parameters"].values()]).tolist(), rel=1e-6
        )


def test_expectations_and_the_check_of_the_first_gradient() -> None:
    words = ["descend", "(x-3)**2", "x=0"]
    assert run(*words, "--expect", "x=3", "--expect", "value=0", "--check").status == 0
    missed = run(*words, "--expect", "parameters.x=6", "--json")
    assert missed.status == 1
    assert missed.json["expect"]["parameters.x"]["slip"] is None
    assert run(*words, "--check", "--json").json["check"]["x"]["ok"] is True


# what goes wrong


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["(x-3)**2", "x=0", "--optimizer", "adamm"], "adam"),
        (["(x-3)**2", "x=0", "--optimizer", "Optimizer"], "no optimiser"),
        (["(x-3)**2", "x=0", "--optimizer", "lr_scheduler"], "no optimiser"),
        (["(x-3)**2", "x=0", "--set", "momentm=1"], "did you mean momentum?"),
        (["(x-3)**2", "x=0", "--set", "params=1"], "no argument 'params'"),
        (["(x-3)**2", "x=0", "--set", "lr=1"], "--lr"),
        (["(x-3)**2", "x=0", "--set", "momentum"], "NAME=VALUE"),
        (["(x-3)**2", "x=0", "--set", "momentum="], "number"),
        (
            ["(x-3)**2", "x=0", "--set", "momentum=1,,2"],
            "a number, true, false, none, a tuple or a word",
        ),
        (["(x-3)**2", "x=0", "--set", "momentum=__import__('os')"], "a number, true, false, none"),
        (
            ["(x-3)**2", "x=0", "--optimizer", "adam", "--set", "betas=(0.9,0.99"],
            "a number, true, false",
        ),
        (
            ["(x-3)**2", "x=0", "--optimizer", "adam", "--set", "betas=0.9,big"],
            "expected 2 numbers",
        ),
        (["(x-3)**2", "x=0", "--set", "momentum=big"], "expected a number"),
        (["(x-3)**2", "x=0", "--set", "momentum=1", "--set", "momentum=2"], "twice"),
        (["(x-3)**2", "x=0", "--set", "nesterov=1"], "true or false"),
        (["(x-3)**2", "x=0", "--optimizer", "adam", "--set", "betas=0.9"], "betas=0.9,0.999"),
        (["(x-3)**2", "x=0", "--optimizer", "adam", "--set", "betas=2,3"], "Invalid beta"),
        (
            ["(x-3)**2", "x=0", "--optimizer", "adam", "--set", "capturable=true"],
            "cannot take a step",
        ),
        (
            ["(x-3)**2", "x=0", "--optimizer", "lbfgs", "--set", "line_search_fn=newton"],
            "strong_wolfe",
        ),
        (["(x-3)**2", "x=0", "--optimizer", "sparseadam"], "does not support dense gradients"),
        (["(x-3)**2", "x=0", "--set", "nesterov=true"], "Nesterov momentum requires"),
        (["(x-3)**2", "x=0", "--lr", "-1"], "Invalid learning rate"),
        (["(x-3)**2", "x=0", "--lr", "fast"], "--lr"),
        (["(x-3)**2", "x=0", "--lr", "nan"], "--lr must be a number, not NaN"),
        (["(x-3)**2", "x=0", "--set", "momentum=nan"], "--set momentum must be a number, not NaN"),
        (["(x-3)**2", "x=0", "--steps", "-1"], "--steps"),
        (["(x-3)**2", "x=0", "--steps", "1.5"], "--steps"),
        (["(x-3)**2", "x=0", "--min-move", "-1"], "--min-move"),
        (["(x-3)**2", "x=0", "--min-move", "nan"], "--min-move"),
        (["(x-3)**2", "x=0,1"], "[2]"),
        (["(x-3)**2", "x=0", "--wrt", "y"], "y"),
        (["(x-3)**2", "x=tensor(0)"], "floating"),
        (["x > 2", "x=0"], "does not depend"),
        (["x=0", "(x-3)**2"], "the expression comes first"),
        (["(w*x).sum()", "w=zeros(1000)", "x=1", "--steps", "1000000"], "fewer --steps"),
        (["(x-3)**2", "x=0", "--check", "--csv"], "--check cannot be used"),
    ],
)
def test_a_mistake_is_named_with_its_cure(words: list[str], says: str) -> None:
    shown = run("descend", *words)
    assert (shown.status, shown.stdout) == (2, ""), shown.stderr
    assert shown.stderr.startswith("error: ")
    assert says in shown.stderr


def test_a_batch_descends_too() -> None:
    job = {
        "id": 7,
        "command": "descend",
        "expression": "(x-3)**2",
        "inputs": {"x": 0},
        "steps": 2,
        "optimizer": "Adam",
    }
    lines = [job | {"set": {"betas": [0.5, 0.5], "amsgrad": True}}, job | {"set": ["betas=0.5,0.5", "amsgrad=true"]},
             job | {"set": {"betas": 1}}, job | {"min-move": 100}]  # fmt: skip
    shown = run("batch", stdin="\n".join(map(json.dumps, lines)))
    found = [json.loads(line) for line in shown.stdout.splitlines()]
    words = [
        "(x-3)**2",
        "x=0",
        "--steps",
        "2",
        "--optimizer",
        "adam",
        "--set",
        "betas=0.5,0.5",
        "--set",
        "amsgrad=true",
    ]
    assert found[0] == found[1] == {**descend(*words), "id": 7}
    assert found[2]["error"]["kind"] == "usage"
    assert found[3]["stopped"] == "tolerance"


SLOW = "n = A @ A; n = n @ A; (n*n).sum()*0 + x**2"
"""An expression of about a tenth of a second."""


def test_the_time_limit_is_that_of_one_step() -> None:
    began = time.monotonic()
    a = torch.rand(700, 700)
    _ = ((a @ a @ a) ** 2).sum()
    limit = max(0.5, 12 * (time.monotonic() - began))
    words = [
        "descend",
        SLOW,
        "A=rand(700,700)",
        "x=1",
        "--wrt",
        "x",
        "--steps",
        "24",
        "--timeout",
        f"{limit:.3f}",
    ]
    shown = run(*words, "--get", "stopped")
    assert shown.stdout == "steps\n", "all steps take longer than one may"


def test_in_a_batch_too() -> None:
    begun: list[float] = []
    job = {"command": "descend", "expression": "x**2", "inputs": {"x": 1}, "steps": 4, "timeout": 7}
    line = json.dumps(job).encode()
    answer(line, 1, begun.append, Plans(), allow_files=False)
    assert begun == [7.0] * 6, "the job, the start and four steps"


@pytest.mark.parametrize(
    "words",
    [
        ["descend", "special.legendre_polynomial_p(x, 1000000000000)", "x=0.5"],
        ["descend", "(x-3)**2", "x=0", "--optimizer", "lbfgs", "--set", "max_iter=1000000000", "--set",
         "max_eval=1000000000", "--set", "tolerance_grad=-1", "--set", "tolerance_change=-1", "--lr", "1e-9"],
    ],
)  # fmt: skip
def test_one_step_that_does_not_end_is_ended(words: list[str]) -> None:
    shown = run(*words, "--timeout", "0.4")
    assert (shown.status, shown.stdout) == (2, "")
    assert "0.4 s" in shown.stderr


def test_a_training_is_timed_by_its_steps() -> None:
    begun: list[tuple[int, int]] = []
    request = from_words(Perceptron, [], {"train": "xor", "activation": "step", "epochs": "3"})
    compute(
        check(request, str),
        lambda step, operands: None,
        lambda number, total: begun.append((number, total)),
    )
    assert begun == [(1, 3), (2, 3), (3, 3)]


def test_progress_is_told_to_a_terminal_once_it_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["descend", "(x-3)**2", "x=0", "--steps", "30", "--get", "stopped"]
    assert _on_a_terminal(words) == ""
    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    said = _on_a_terminal(words)
    assert "step 1 of 30" in said
    assert said.endswith("\r")
    assert _on_a_terminal([*words, "--quiet"]) == ""
    assert run(*words, here=True).stderr == "", "no terminal"


def _on_a_terminal(words: list[str]) -> str:
    """What a call writes to a terminal that is its stderr."""
    master, slave = pty.openpty()
    with tempfile.TemporaryFile() as out:
        if fork() == 0:
            child(words, (0, out.fileno(), slave), BASE, None)
        os.close(slave)
        said = b""
        with suppress(OSError):
            while piece := os.read(master, 1000):
                said += piece
        os.wait()
        out.seek(0)
        assert out.read() == b"steps\n"
    os.close(master)
    return said.decode()


def test_the_closed_form_of_momentum() -> None:
    """Heavy ball on x**2/2: x' = x - lr v', v' = m v + x."""
    result = descend(
        "x**2/2", "x=1", "--set", "momentum=0.5", "--steps", "10", "--dtype", "float64"
    )
    x, v = 1.0, 0.0
    for step in result["steps"]:
        assert math.isclose(step["parameters"]["x"], x, rel_tol=1e-12)
        v = 0.5 * v + x
        x -= 0.1 * v
