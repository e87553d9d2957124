"""`perceptron`: one layer forward with its gradient, and its training, against the lecture's
formulas and plain loops.
"""

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.program import run

COMMON = {"command", "dtype", "inputs", "defaults", "notes"}


def layer(*words: str) -> Any:
    return run("perceptron", *words, "--dtype", "float64", "--json").json


def s(z: float) -> float:
    return 1 / (1 + math.exp(-z))


def test_one_output_has_the_lectures_gradient() -> None:
    x, w, t = [1.0, 0.5], [0.3, -0.2], 1.0
    result = layer("--x", "1,0.5", "--w", "0.3,-0.2", "--target", "1")
    z = sum(a * b for a, b in zip(x, w, strict=True))
    o = s(z)
    delta = (o - t) * o * (1 - o)
    assert result["z"] == pytest.approx(z)
    assert result["output"] == pytest.approx(o)
    assert result["loss"] == pytest.approx((o - t) ** 2 / 2)
    assert result["gradients"]["w"] == pytest.approx([delta * xj for xj in x], rel=1e-12)
    assert result["gradients"]["x"] == pytest.approx([delta * wj for wj in w], rel=1e-12)
    assert result["gradients"]["b"] == pytest.approx(delta, rel=1e-12)
    assert result["defaults"] == ["b"]


def test_several_outputs_have_a_row_of_w_each() -> None:
    x, w, b, t = (
        [1.0, 0.5],
        [[0.3, -0.2], [1.0, 2.0], [0.0, -1.0]],
        [0.1, 0.2, 0.3],
        [1.0, 0.0, 0.5],
    )
    result = layer("--x", "1,0.5", "--w", str(w), "--b", "0.1,0.2,0.3", "--target", "1,0,0.5")
    z = [
        sum(a * c for a, c in zip(x, row, strict=True)) + bias
        for row, bias in zip(w, b, strict=True)
    ]
    delta = [(s(zk) - tk) * s(zk) * (1 - s(zk)) for zk, tk in zip(z, t, strict=True)]
    assert result["z"] == pytest.approx(z)
    for row, d in zip(result["gradients"]["w"], delta, strict=True):
        assert row == pytest.approx([d * xj for xj in x], rel=1e-12)
    assert result["gradients"]["b"] == pytest.approx(delta, rel=1e-12)
    by_x = [sum(d * row[j] for d, row in zip(delta, w, strict=True)) for j in range(2)]
    assert result["gradients"]["x"] == pytest.approx(by_x, rel=1e-12)


@pytest.mark.parametrize(
    ("w", "target", "shape"), [("0.3,-0.2", "1,0,1", (3,)), ("0.3,-0.2;1,2", "ones(3,2)", (3, 2))]
)
def test_a_batch_agrees_with_plain_pytorch(w: str, target: str, shape: tuple[int, ...]) -> None:
    result = layer("--x", "1,0.5;2,3;-1,0", "--w", w, "--b", "0.1", "--target", target)
    given = {
        name: torch.tensor(value, dtype=torch.float64) for name, value in result["inputs"].items()
    }
    leaves = {name: given[name].requires_grad_() for name in ("w", "b", "x")}
    output = torch.sigmoid(
        torch.nn.functional.linear(leaves["x"], leaves["w"].reshape(-1, 2)) + leaves["b"]
    )
    loss = 0.5 * ((output.reshape(shape) - given["target"]) ** 2).sum()
    slopes = torch.autograd.grad(loss, list(leaves.values()))
    assert torch.tensor(result["output"]).shape == shape
    assert result["loss"] == pytest.approx(loss.item(), rel=1e-12)
    for name, slope in zip(leaves, slopes, strict=True):
        found = torch.tensor(result["gradients"][name], dtype=torch.float64)
        assert torch.allclose(found, slope, rtol=1e-10), name


@pytest.mark.parametrize(("activation", "loss"), [("tanh", "mse"), ("relu", "l1")])
def test_activation_and_loss_can_be_chosen(activation: str, loss: str) -> None:
    words = [
        "--x",
        "1,0.5",
        "--w",
        "0.3,-0.2",
        "--target",
        "1",
        "--activation",
        activation,
        "--loss",
        loss,
    ]
    result = layer(*words)
    o, t = {"tanh": math.tanh(0.2), "relu": 0.2}[activation], 1.0
    slope = {"tanh": 2 * (o - t) * (1 - o * o), "relu": -1.0}[activation]
    assert result["output"] == pytest.approx(o)
    assert result["gradients"]["b"] == pytest.approx(slope)


def test_a_class_loss_takes_a_class_for_the_layers_outputs() -> None:
    words = [
        "--x",
        "1,2",
        "--w",
        "1,0;0,1",
        "--target",
        "1",
        "--loss",
        "cross_entropy",
        "--activation",
        "leaky_relu(1)",
    ]
    result = layer(*words)
    assert result["loss"] == pytest.approx(math.log(1 + math.exp(1 - 2)), rel=1e-12)


def test_the_keys_of_the_json_are_these_and_no_others() -> None:
    result = layer("--x", "1,0.5", "--w", "0.3,-0.2", "--target", "1")
    assert set(result) == COMMON | {"z", "output", "loss", "gradients"}
    assert set(result["inputs"]) == {"x", "w", "b", "target"}
    assert set(result["gradients"]) == {"w", "b", "x"}
    trained = layer("--train", "and", "--activation", "step")
    assert set(trained) == COMMON | {"epochs", "converged", "w", "b", "history"}
    assert {frozenset(epoch) for epoch in trained["history"]} == {
        frozenset(("epoch", "errors", "loss", "w", "b"))
    }


def test_step_has_no_gradient_and_says_why() -> None:
    result = layer("--x", "1,0.5", "--w", "0.3,-0.2", "--target", "0", "--activation", "step")
    assert result["output"] == 1.0
    assert result["gradients"] == {"w": None, "b": None, "x": None}
    (note,) = result["notes"]
    assert "step" in note["text"]


def test_wrt_chooses() -> None:
    assert set(layer("--x", "1,2", "--w", "1,2", "--target", "1", "--wrt", "b,w")["gradients"]) == {
        "w",
        "b",
    }


def test_the_table_shows_z_output_target_and_marks_the_default() -> None:
    text = run("perceptron", "--x", "1,0.5", "--w", "0.3,-0.2", "--target", "1").stdout
    for piece in ("0.549834", "0.101325", "-0.111424", "default"):
        assert piece in text


def test_csv_has_the_gradient_by_every_input() -> None:
    lines = run(
        "perceptron", "--x", "1,2", "--w", "0,0", "--target", "0", "--csv"
    ).stdout.splitlines()
    assert lines[0] == "name,index,input,gradient"
    by_name = {tuple(line.split(",")[:2]): line.split(",")[2:] for line in lines[1:]}
    assert by_name["w", "0"] == ["0.0", "0.125"]
    assert by_name["w", "1"] == ["0.0", "0.25"]
    assert by_name["b", ""] == ["0.0", "0.125"]


# training

GATES = {"and": [0, 0, 0, 1], "or": [0, 1, 1, 1], "nand": [1, 1, 1, 0], "xor": [0, 1, 1, 0]}
CORNERS = [(0, 0), (0, 1), (1, 0), (1, 1)]


@pytest.mark.parametrize("gate", ["and", "or", "nand"])
def test_the_rule_learns_what_a_line_separates(gate: str) -> None:
    result = layer("--train", gate, "--activation", "step")
    assert result["converged"] is True
    w, b = result["w"], result["b"]
    answers = [int(w[0] * x[0] + w[1] * x[1] + b > 0) for x in CORNERS]
    assert answers == GATES[gate]
    assert result["epochs"] == len(result["history"]) < 100
    assert result["history"][-1]["errors"] == 0


def test_xor_never_settles_and_that_is_no_failure() -> None:
    shown = run("perceptron", "--train", "xor", "--activation", "step", "--json")
    assert shown.status == 0
    assert shown.json["converged"] is False
    assert shown.json["epochs"] == len(shown.json["history"]) == 100


@pytest.mark.parametrize("gate", GATES)
def test_the_rule_is_the_lectures_row_after_row(gate: str) -> None:
    history = layer("--train", gate, "--activation", "step", "--lr", "0.5", "--epochs", "7")[
        "history"
    ]
    w, b = [0.0, 0.0], 0.0
    for epoch in history:
        for x, t in zip(CORNERS, GATES[gate], strict=True):
            error = t - (w[0] * x[0] + w[1] * x[1] + b > 0)
            w, b = [w[j] + 0.5 * error * x[j] for j in range(2)], b + 0.5 * error
        assert (epoch["w"], epoch["b"]) == (w, b)
        assert epoch["errors"] == sum(
            (w[0] * x[0] + w[1] * x[1] + b > 0) != t
            for x, t in zip(CORNERS, GATES[gate], strict=True)
        )


def test_any_other_activation_is_trained_by_gradient_descent_on_e_from_zeros() -> None:
    history = layer("--train", "or", "--lr", "2", "--epochs", "5")["history"]
    w, b = [0.0, 0.0], 0.0
    for number, epoch in enumerate(history, 1):
        deltas = []
        for x, t in zip(CORNERS, GATES["or"], strict=True):
            o = s(w[0] * x[0] + w[1] * x[1] + b)
            deltas.append((o - t) * o * (1 - o))
        w = [
            w[j] - 2 * sum(d * x[j] for d, x in zip(deltas, CORNERS, strict=True)) for j in range(2)
        ]
        b -= 2 * sum(deltas)
        assert epoch["epoch"] == number
        assert epoch["w"] == pytest.approx(w, rel=1e-10)
        assert epoch["b"] == pytest.approx(b, rel=1e-10)
        loss = sum(
            (s(w[0] * x[0] + w[1] * x[1] + b) - t) ** 2 / 2
            for x, t in zip(CORNERS, GATES["or"], strict=True)
        )
        assert epoch["loss"] == pytest.approx(loss, rel=1e-10)


def test_outputs_that_are_no_numbers_are_errors() -> None:
    result = layer("--train", "and", "--lr", "inf", "--epochs", "3")
    assert [epoch["errors"] for epoch in result["history"]] == [4, 4, 4]
    assert result["converged"] is False


def test_a_file_holds_input_columns_and_then_the_target(tmp_path: Path) -> None:
    (tmp_path / "gate.csv").write_text("a,b,c,out\n0,0,1,0\n0,1,1,0\n1,0,1,0\n1,1,1,1\n")
    shown = run(
        "perceptron", "--train", "@gate.csv", "--activation", "step", "--json", cwd=str(tmp_path)
    )
    assert shown.json["converged"] is True
    assert len(shown.json["w"]) == 3


def shown_training(*words: str) -> tuple[str, list[list[str]]]:
    """The title and the rows of a training's table."""
    title, *lines = run("perceptron", "--train", *words).stdout.splitlines()
    return title, [
        [cell.strip() for cell in line.split("│")[1:-1]] for line in lines if line[:1] == "│"
    ][1:]


def test_the_table_says_since_when_there_are_no_errors() -> None:
    history = layer("--train", "and")["history"]
    since = max(epoch["epoch"] for epoch in history if epoch["errors"]) + 1
    assert 1 < since < len(history) == 100
    title, rows = shown_training("and")
    assert (
        title == f"learning and with sigmoid: converged, without errors since epoch {since} of 100"
    )
    assert {"1", str(since), "100"} <= {row[0] for row in rows}
    assert len(rows) <= 12
    assert len(shown_training("and", "--full")[1]) == 100
    title, rows = shown_training("and", "--activation", "step")
    assert title.endswith(f": converged after {len(rows)} epochs")
    assert shown_training("or", "--epochs", "1")[0].endswith(": not converged after 1 epoch")


def test_equal_rows_are_shown_once_and_told_whole_elsewhere() -> None:
    rows = shown_training("xor", "--activation", "step")[1]
    assert [row[:2] for row in rows] == [["1", "2"], ["2 to 100", "2"]]
    assert shown_training("xor", "--epochs", "7", "--full")[1][0][0] == "1 to 7"
    assert [row[0] for row in shown_training("and", "--lr", "inf")[1]] == [
        "1",
        "2 to 100",
    ]  # NaN beside NaN
    assert (
        len(
            run("perceptron", "--train", "xor", "--activation", "step", "--csv").stdout.splitlines()
        )
        == 101
    )


def test_csv_of_a_training_is_a_row_per_epoch() -> None:
    lines = run("perceptron", "--train", "or", "--activation", "step", "--csv").stdout.splitlines()
    assert lines[0] == "epoch,errors,loss,w[0],w[1],b"
    assert lines[-1] == "3,0,0.0,1.0,1.0,0.0"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--x", "1,2", "--w", "1,2"], "--target is missing"),
        (["--w", "1,2", "--target", "1"], "--x is missing"),
        (["--x", "1,2", "--target", "1"], "--w is missing"),
        (["--x", "1,2", "--w", "1,2,3", "--target", "1"], "[3]"),
        (["--x", "1,2", "--w", "1,2", "--target", "1,2"], "[2]"),
        (["--x", "1,2", "--w", "1,2", "--b", "1,2", "--target", "1"], "b "),
        (["--x", "zeros(2,2,2)", "--w", "1,2", "--target", "1"], "[2, 2, 2]"),
        (["--x", "tensor([1,2])", "--w", "1,2", "--target", "1"], "float"),
        (["--x", "1,2", "--w", "1,2", "--target", "1", "--lr", "1"], "--train"),
        (["--x", "1,2", "--w", "1,2", "--target", "1", "--activation", "sigmod"], "sigmoid"),
        (["--x", "1,2", "--w", "1,2", "--target", "1", "--loss", "sigmoid"], "loss"),
        (["--x", "1,2", "--w", "1,2", "--target", "1", "--wrt", "q"], "q"),
        (["--train", "maybe"], "xor"),
        (["--train", "and", "--x", "1"], "--x"),
        (["--train", "and", "--epochs", "0"], "--epochs"),
        (["--train", "and", "--epochs", "1.5"], "--epochs"),
        (["--train", "and", "--lr", "fast"], "--lr"),
        (["--train", "@nowhere.csv"], "nowhere.csv"),
        (["--train", "@"], "--train"),
        (["--train", "-"], "--train"),
    ],
)
def test_a_mistake_is_named_with_its_cure(words: list[str], says: str) -> None:
    shown = run("perceptron", *words)
    assert (shown.status, shown.stdout) == (2, "")
    assert says in shown.stderr


def test_training_data_that_cannot_be_learnt_from_are_refused(tmp_path: Path) -> None:
    (tmp_path / "one.csv").write_text("1\n2\n")
    (tmp_path / "two.csv").write_text("1,2\n3,4\n")
    for name, activation in (("one.csv", "sigmoid"), ("two.csv", "step")):
        words = ["perceptron", "--train", f"@{name}", "--activation", activation]
        shown = run(*words, cwd=str(tmp_path))
        assert (shown.status, shown.stdout) == (2, ""), shown.stderr
