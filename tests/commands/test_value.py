"""`value`: values of any shape and type, and the shape of every part, against plain PyTorch."""

import ast
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from tests.program import Ran, printed, run

INPUTS = {
    "x": "1.5,-0.5,2",
    "X": "1,2,3;4,5,6",
    "w": "0.5,1,-1",
    "b": "0.25",
    "y": "tensor([0, 2])",
    "m": "True,False,True",
}
SCOPE: dict[str, Any] = {
    "x": torch.tensor([1.5, -0.5, 2]),
    "X": torch.tensor([[1.0, 2, 3], [4, 5, 6]]),
    "w": torch.tensor([0.5, 1, -1]),
    "b": torch.tensor(0.25),
    "y": torch.tensor([0, 2]),
    "m": torch.tensor([True, False, True]),
    "torch": torch,
    "F": F,
    "nn": nn,
    "relu": torch.relu,
    "stack": torch.stack,
    "mse": F.mse_loss,
}
WORDS = [f"{name}={text}" for name, text in INPUTS.items()]


def value(*words: str) -> Any:
    return run("value", *words, "--json").json


def batch(*expressions: str, **more: Any) -> list[Any]:
    """The results of many expressions over the same inputs, of one process."""
    jobs = [
        json.dumps({"command": "value", "expression": text, "inputs": INPUTS, **more})
        for text in expressions
    ]
    shown = run("batch", "--jobs", "1", stdin="\n".join(jobs))
    return [json.loads(line) for line in shown.stdout.splitlines()]


# the value

VALUES = [
    "X @ w + b",
    "X[None] * x[:, None, None]",
    "x > 0",
    "m & (x < 2)",
    "x.argmax()",
    "X.argsort(1)",
    "torch.bincount(y)",
    "x.sum()",
    "x[:0]",
    "X.max(0).indices",
    "F.cross_entropy(X, y)",
    "2**53 + 1",
    "7 // 2",
    "2 > 1",
    "X.shape",
    "X.numel()",
    "1/3",
    "x.double() / 3",
    "torch.isnan(x / 0 - x / 0)",
]


@pytest.mark.smoke
def test_a_value_of_any_shape_and_type_is_pytorchs_own() -> None:
    for text, found in zip(VALUES, batch(*VALUES), strict=True):
        computed = eval(text, dict(SCOPE))
        expected = torch.as_tensor(computed)
        assert torch.equal(torch.tensor(found["value"], dtype=expected.dtype), expected), text
        leaf = found["value"]
        while isinstance(leaf, list) and leaf:
            leaf = leaf[0]
        assert not expected.numel() or type(leaf) is type(expected.view(-1)[0].item()), text


def test_the_keys_of_the_json_are_these_and_no_others() -> None:
    keys = {
        "command", "dtype", "inputs", "defaults", "notes", "expression", "value", "intermediates"
    }  # fmt: skip
    plain = value("h = w*x; h**2", "x=3", "w=2")
    assert set(plain) == keys
    assert (plain["command"], plain["value"], plain["intermediates"]) == ("value", 36.0, {"h": 6.0})
    assert set(value("w*x", "x=3", "w=2", "--shapes")) == {*keys, "shapes"}


def test_random_numbers_are_those_of_grad() -> None:
    words = ["(x * randn(3)).sum()", "x=rand(3)", "--seed", "5"]
    assert value(*words)["value"] == run("grad", *words, "--json").json["value"]
    assert value(*words, "--shapes") == {
        **value(*words),
        "shapes": value(*words, "--shapes")["shapes"],
    }


def test_a_failing_operation_and_results_that_are_no_tensor_are_errors() -> None:
    for words, says in {
        ("X @ x", "X=1,2;3,4", "x=1,2,3"): "[2, 2]",
        ("fft.fft(x)", "x=1,2"): "abs",
        ("x.max(0)", "x=1,2"): ".values",
        ("X @ x", "X=1,2;3,4", "x=1,2,3", "--shapes"): "[3]",
    }.items():
        shown = run("value", *words)
        assert (shown.status, shown.stdout) == (2, "")
        assert says in shown.stderr


@pytest.mark.parametrize("option", ["--wrt=x", "--check", "--explain", "--graph=tree"])
def test_what_is_about_gradients_is_grads(option: str) -> None:
    shown = run("value", "x**2", "x=1", option)
    assert (shown.status, shown.stdout) == (2, "")
    assert f"gradcli grad EXPR NAME=T {option.partition('=')[0]}" in shown.stderr


def test_a_step_that_is_complex_is_null_with_a_note() -> None:
    found = value("h = fft.fft(x); h.abs()", "x=1,2")
    assert found["intermediates"] == {"h": None}
    assert [note["code"] for note in found["notes"]] == ["complex-step"]


def test_where_not_a_number_comes_from_is_noted_and_kinks_are_not() -> None:
    found = value("relu(x) + log(x)", "x=-1,0,2")
    assert [note["code"] for note in found["notes"]] == ["not-a-number"]


# other forms


def test_csv_and_files_hold_the_steps_and_the_value(tmp_path: Path) -> None:
    words = ("value", "h = X @ w; h > 2", "X=1,2;3,4", "w=1,0.5")
    assert run(*words, "--csv").stdout.split() == [
        "name,index,value", "h,0,2.0", "h,1,5.0", "value,0,false", "value,1,true",
    ]  # fmt: skip
    assert run(*words, "--get", "value.1").stdout == "true\n"
    for file in ("v.npz", "v.npy"):
        assert run(*words, "--out", file, cwd=str(tmp_path)).status == 0
    assert np.load(tmp_path / "v.npy").tolist() == [False, True]
    with np.load(tmp_path / "v.npz") as arrays:
        assert {name: arrays[name].tolist() for name in arrays} == {
            "value": [False, True], "intermediates.h": [2.0, 5.0],
        }  # fmt: skip


def test_the_table_draws_a_matrix_as_a_matrix_and_names_the_result() -> None:
    lines = run("value", "P = outer(x, x)", "x=1,2").stdout.splitlines()
    rows = [re.findall(r"[^\s│|]+", line) for line in lines if "│" in line]
    assert rows == [["P", "[0]", "[1]"], ["P[0]", "1", "2"], ["P[1]", "2", "4"]]
    assert "Steps" not in lines
    assert run("value", "w*x", "x=3", "w=2").stdout.splitlines() == [
        "w*x = 6", "float32, shapes: x []  w []  result []",
    ]  # fmt: skip


def test_the_program_prints_the_values_and_with_shapes_the_shapes() -> None:
    words = ("value", "h = X @ w; h.relu().sum()", "X=1,2;3,4", "w=1,-1", "--code")
    assert printed(run(*words).stdout).splitlines() == ["h [-1.0, -1.0]", "value 0.0"]
    assert printed(run(*words, "--shapes").stdout).splitlines()[2:] == [
        "h shape [2]", "value shape []",
    ]  # fmt: skip


def test_a_value_is_compared_with_numbers_and_formulas() -> None:
    words = ("value", "h = w*x; h**2", "x=1,2", "w=3")
    for expected in ("9,36", "value=9,36", "value.1=36", "h=3,6", "w**2*x**2", "h = w*x"):
        assert run(*words, "--expect", expected).status == 0, expected
    missed = run(*words, "--expect", "w*x**2", "--json")
    assert missed.status == 1
    assert missed.json["expect"]["value"]["counterexample"]["computed"] == [9.0, 36.0]
    slip = run(*words, "--expect", "-9,-36", "--json")
    assert (slip.status, slip.json["expect"]["value"]["slip"]) == (1, "sign")
    assert run("value", "x > 0", "x=-1,1", "--expect", "0,1").status == 0


# shapes

PARTS = [
    "mse(X @ w + b, x[:2])",
    "(x.relu() * 2).sum()",
    "-x**2 + X.T[0, 0]",
    "stack([x, 2*x, w])[1:].mean(dim=1)",
    "F.cross_entropy(X * b, y, reduction='none') > 1",
    "nn.Softmax(dim=0)(x + w)",
    "X[:, None, :] @ x[:, None] if X.shape[0] > 1 else x",
    "(X @ w)[..., None] * m[:2]",
    "torch.linalg.svd(X, full_matrices=False)[1].sum()",
    "X.max(0).values + X.sort(1).indices[0]",
    "(\n  X     # data\n  @ w\n).sum()",
    "x.mean(dim=0, keepdim=True).expand(4, 1).reshape(2, -1)",
]
"""Each of one statement, in Python as it stands, so that Python can compute every part of it."""


def parts(text: str) -> Counter[tuple[str, tuple[int, ...]]]:
    """Every part of a text, on one line, that plain PyTorch computes a tensor for, and its shape."""
    found: Counter[tuple[str, tuple[int, ...]]] = Counter()
    tree = ast.parse(text, mode="eval")
    skipped: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(
            node, ast.IfExp
        ):  # the other branch is not computed, and a choice computes nothing
            skipped |= {node, *ast.walk(node.orelse)}
        if not isinstance(node, ast.expr) or isinstance(node, ast.Name) or node in skipped:
            continue
        try:
            computed = eval(compile(ast.Expression(node), "", "eval"), dict(SCOPE))
        except TypeError:  # a slice
            continue
        if isinstance(computed, Tensor):
            source = re.sub(r"\s*(#.*)?\n\s*", " ", str(ast.get_source_segment(text, node)))
            found[source, tuple(computed.shape)] += 1
    return found


def listed(found: Any) -> list[tuple[str, tuple[int, ...]]]:
    return [(part["expression"], tuple(part["shape"])) for part in found["shapes"]]


@pytest.mark.smoke
def test_every_part_that_computes_a_tensor_has_its_shape_inner_parts_first() -> None:
    for text, found in zip(PARTS, batch(*PARTS, shapes=True), strict=True):
        rows = listed(found)
        assert Counter(rows) == parts(text), text
        for number, (outer, _) in enumerate(rows):
            assert not any(outer in inner for inner, _ in rows[:number] if inner != outer), text


STATEMENTS = {
    "h = X @ w; h += b; h": [("h = X @ w", (2,)), ("h += b", (2,))],
    "h = X.T @ (X @ w)": [("X.T", (3, 2)), ("X @ w", (2,)), ("h = X.T @ (X @ w)", (3,))],
    "U, S, V = torch.svd(X); S": [("U", (2, 2)), ("S", (2,)), ("V", (3, 2))],
    "a, c = x[:2], X[0]; a": [("x[:2]", (2,)), ("X[0]", (3,)), ("a", (2,)), ("c", (3,))],
    "k = X; k": [("k = X", (2, 3))],
    "k = X if len(x) > 2 else x; k.T": [("k = X if len(x) > 2 else x", (2, 3)), ("k.T", (3, 2))],
    "np.std(X @ w, ddof=1)": [("X @ w", (2,)), ("np.std(X @ w, ddof=1)", ())],
    "math.exp(b) * len(x)": [("math.exp(b)", ()), ("math.exp(b) * len(x)", ())],
    "x": [],
    "X.shape[0]": [],
}


def test_a_step_is_its_assignment_and_a_function_of_numpys_one_part() -> None:
    found = batch(*STATEMENTS, shapes=True)
    assert {text: listed(each) for text, each in zip(STATEMENTS, found, strict=True)} == STATEMENTS


BRACKET = re.compile(r"(?:(\[[\d, ]*\]) )?([╰─](?:─*(\[[\d, ]*\])─*|─*)[╯─]|╵)(?: (\[[\d, ]*\]))?")


def drawn(shown: Ran) -> Counter[tuple[str, str]]:
    """The text above each bracket and the shape in it or beside it, of a drawing in one piece."""
    found: Counter[tuple[str, str]] = Counter()
    _, _, drawing = shown.stdout.partition("Shapes\n")
    text = ""
    for line in drawing.splitlines():
        brackets = [*BRACKET.finditer(line)] if re.match(r" *(\[[\d, ]*\] )?[╰╵]", line) else []
        for bracket in brackets:
            shapes = [shape for shape in (bracket[1], bracket[3], bracket[4]) if shape]
            assert len(shapes) == 1, line
            found[text[bracket.start(2) : bracket.end(2)], shapes[0]] += 1
        if not brackets:
            text = line
    return found


def test_every_bracket_is_below_the_text_that_has_its_shape() -> None:
    for text in (*PARTS, *STATEMENTS):
        rows = listed(run("value", text, *WORDS, "--shapes", "--json").json)
        expected = Counter((part, str(list(shape))) for part, shape in rows)
        assert drawn(run("value", text, *WORDS, "--shapes", "--quiet")) == expected, text


def test_a_bracket_whose_shape_is_longer_has_it_at_its_side() -> None:
    lines = run("value", "x*x + X*x", *WORDS, "--shapes", "--quiet").stdout.splitlines()
    assert lines[-4:] == ["x*x + X*x", "╰─╯ [3]", "      ╰─╯ [2, 3]", "╰[2, 3]─╯"]


def test_a_long_statement_continues_on_further_lines() -> None:
    text = "mse(relu(X @ w + b) * 2.0 + (X @ w).sum(), relu(X @ w - b) * 3.0 - (X @ w).mean())"
    rows = listed(run("value", text, *WORDS, "--shapes", "--json").json)
    lines = run("value", text, *WORDS, "--shapes", "--quiet", env={"COLUMNS": "50"}).stdout
    drawing = lines.partition("Shapes\n")[2].splitlines()
    assert max(map(len, drawing)) <= 50
    kept = [line for line in drawing if re.search("[a-z]", line)]
    assert " ".join(kept) == text
    labels = Counter(
        re.findall(r"\[[\d, ]*\]", "".join(line for line in drawing if line not in kept))
    )
    assert labels == Counter(str(list(shape)) for _, shape in rows)


def test_what_cannot_be_drawn_is_a_table() -> None:
    text = "+".join(["x"] * 100)
    shown = run("value", text, *WORDS, "--shapes", "--full").stdout
    assert "expression" in shown
    assert "╰─" not in shown.partition("Shapes")[2].splitlines()[3]
    assert shown.partition("Shapes")[2].count("[3]") == 99
    narrow = run("value", "a*b", "a=zeros(1,2,1,1,1,1)", "b=1", "--shapes", env={"COLUMNS": "20"})
    assert "expression" in narrow.stdout


def test_a_text_with_wide_and_odd_characters_has_its_brackets_in_place() -> None:
    lines = run("value", "x +\t x.sum()  # 寬", "x=1,2", "--shapes").stdout.splitlines()
    assert lines[-3] == "x +  x.sum()"
    assert lines[-2] == "     ╰─[]──╯"


def test_ascii_has_brackets_too() -> None:
    shown = run("value", "x.sum()", "x=1,2", "--shapes", env={"PYTHONIOENCODING": "ascii"}).stdout
    assert shown.endswith("x.sum()\n+-[]--+\n")


def test_parts_that_are_too_long_together_are_an_error() -> None:
    shown = run("value", "+".join(["xxxxxx"] * 4000), "xxxxxx=1", "--shapes")
    assert (shown.status, shown.stdout) == (2, "")
    assert "steps" in shown.stderr
    assert len(shown.stderr) < 500


def test_a_step_that_is_not_finite_is_noted_without_a_backward_pass() -> None:
    """heaviside has no derivative, and log's is infinite at 0."""
    for text in ("n = log(x); heaviside(n, n).sum() * 0", "n = log(x); n.clamp(min=0).sum()"):
        notes = value(text, "x=0,2")["notes"]
        assert [note["text"] for note in notes] == [
            "NaN or inf in intermediates.n: log(0) = -inf came first"
        ]


def test_parameters_of_a_network_are_inputs_and_its_calls_and_layers_are_parts() -> None:
    net = "net = nn.Sequential(nn.Linear(3,2), nn.Tanh()); net(X)"
    given = ["X=1,2,3;4,5,6", "net.0.weight=0,1,0;1,0,1", "net.0.bias=0.5,-1"]
    found = run("value", net, *given, "--shapes", "--dtype", "float64", "--json").json
    rows = torch.tensor([[1.0, 2, 3], [4, 5, 6]], dtype=torch.float64)
    weight, bias = torch.tensor([[0.0, 1, 0], [1, 0, 1]]).double(), torch.tensor([0.5, -1]).double()
    assert torch.tensor(found["value"]).allclose(torch.tanh(rows @ weight.T + bias).float())
    parts = ["net[0]", "net[1]", "net(X)"]
    assert found["shapes"] == [{"expression": part, "shape": [2, 2]} for part in parts]
    drawn = run("value", net, *given[:1], "--json").json
    torch.manual_seed(0)
    linear = nn.Linear(3, 2)
    assert torch.equal(torch.tensor(drawn["inputs"]["net.0.weight"]), linear.weight.detach())
