"""`flow`: the gradient through a deep stack, against a stack of plain PyTorch and against what
theory says of it.
"""

import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gradcli import core
from gradcli.evaluate.job import default_dtype
from tests.program import printed, run


def flow(*words: str) -> Any:
    return run("flow", *words, "--json").json


def norms(result: Any, name: str) -> list[float]:
    return [row["gradient_norm"] for row in result["layers"] if row["activation"] == name]


def test_the_numbers_are_those_of_a_plain_stack() -> None:
    """By hand: no autograd, the chain rule as matrix products."""
    words = [
        "--activation",
        "sigmoid",
        "--layers",
        "4",
        "--width",
        "5",
        "--init",
        "xavier",
        "--seed",
        "2",
    ]
    result = flow(*words, "--dtype", "float64")
    with default_dtype(torch.float64):
        torch.manual_seed(2)
        layers = [nn.Linear(5, 5) for _ in range(4)]
        weights = [nn.init.xavier_normal_(layer.weight).detach() for layer in layers]
        x, upstream = torch.randn(64, 5), torch.randn(64, 5)
    hs: list[Tensor] = [x]
    for w in weights:
        hs.append(1 / (1 + torch.exp(-hs[-1] @ w.T)))
    delta, expected, gains = upstream / upstream.numel(), [], []
    for w, h in reversed(list(zip(weights, hs[1:], strict=True))):
        delta = delta * h * (1 - h)
        expected.append(delta.norm().item())
        delta = delta @ w
        gains.append(delta.norm().item() / expected[-1])
    assert norms(result, "sigmoid") == pytest.approx(expected[::-1], rel=1e-10)
    for row, h in zip(result["layers"], hs[1:], strict=True):
        assert row["mean"] == pytest.approx(h.mean().item(), rel=1e-10)
        assert row["std"] == pytest.approx(h.std().item(), rel=1e-10)
        assert row["saturated"] == pytest.approx((h * (1 - h) <= 0.025).double().mean().item())
    factor = (expected[-1] / expected[0]) ** (1 / 3)
    assert result["factors"] == {"sigmoid": pytest.approx(factor, rel=1e-10)}
    gain = math.prod(gains[:-1]) ** (1 / 3)  # what the first layer passes on reaches no layer
    parts = f"{gain:.3g} from the weights times {factor / gain:.3g} from the slopes (at most 0.25)"
    assert result["verdict"].startswith(
        f"sigmoid: vanishing, a factor of {factor:.3g} per layer: {parts}, and "
    )


@pytest.mark.parametrize("seed", ["0", "1", "2"])
@pytest.mark.parametrize("layers", ["20", "50"])
def test_sigmoid_loses_a_factor_of_four_in_every_layer(seed: str, layers: str) -> None:
    result = flow("--activation", "sigmoid", "--init", "xavier", "--layers", layers, "--seed", seed)
    assert result["factors"]["sigmoid"] < 1 / 4
    assert "vanishing" in result["verdict"]
    assert min(norms(result, "sigmoid")) > 0, (
        "a norm in float64 holds what its squares in float32 would lose"
    )


@pytest.mark.parametrize("seed", ["0", "1", "2"])
@pytest.mark.parametrize("layers", ["20", "50"])
def test_relu_keeps_the_gradient_with_kaiming(seed: str, layers: str) -> None:
    result = flow("--activation", "relu", "--init", "kaiming", "--layers", layers, "--seed", seed)
    assert 0.95 < result["factors"]["relu"] < 1.05
    assert "steady" in result["verdict"]
    assert max(norms(result, "relu")) / min(norms(result, "relu")) < 8


@pytest.mark.parametrize(
    ("init", "variance", "word"), [("normal", 1, "exploding"), ("xavier", 1 / 64, "vanishing")]
)
def test_relus_halve_what_the_weights_pass(init: str, variance: float, word: str) -> None:
    """Going back, each layer multiplies the squares by 64 times the weights' variance, and half the
    ReLUs are shut.
    """
    result = flow("--activation", "relu", "--init", init)
    assert result["factors"]["relu"] == pytest.approx((64 * variance / 2) ** 0.5, rel=0.1)
    assert word in result["verdict"]


@pytest.mark.parametrize("init", ["default", "xavier", "normal"])
def test_another_way_to_draw_weights_is_named_where_it_holds_the_gradient(init: str) -> None:
    """What a verdict says of another --init is what that call says of itself."""
    words = ("sigmoid", "tanh", "relu", "selu", "--width", "32", "--seed", "3")
    others = {
        each: flow(*words, "--init", each)["factors"]
        for each in {"default", "kaiming", "xavier", "normal"} - {init}
    }
    result = flow(*words, "--init", init)
    for (name, factor), verdict in zip(
        result["factors"].items(), result["verdict"].split("; "), strict=True
    ):
        steady = [each for each, factors in others.items() if 0.9 <= factors[name] <= 1.1]
        if 0.9 <= factor <= 1.1:
            assert "would hold" not in verdict
        elif found := re.search(r", but --init (\w+) keeps it steady \((.*)\)$", verdict):
            assert found[1] in steady
            assert found[2] == f"{others[found[1]][name]:.3g}"
        else:
            assert (steady, verdict.endswith(", and no other --init keeps it steady")) == ([], True)


def test_stacks_too_large_to_draw_again_are_told_no_other_way() -> None:
    assert flow("relu", "--layers", "65", "--width", "256")["verdict"].endswith("saturated)")


def test_half_of_the_relus_are_off_and_that_is_told() -> None:
    found = re.search(r"times (.*) from the slopes \((\d+)% saturated\)", flow("relu")["verdict"])
    assert found
    assert float(found[1]) == pytest.approx(0.5**0.5, rel=0.05)
    assert float(found[2]) == pytest.approx(50, abs=5)


def test_several_activations_side_by_side_share_one_stack() -> None:
    result = flow(
        "--activation",
        "sigmoid",
        "--activation",
        "leaky_relu(0.2)",
        "--layers",
        "3",
        "--width",
        "8",
    )
    assert [(row["layer"], row["activation"]) for row in result["layers"]] == [
        (number, name) for name in ("sigmoid", "leaky_relu(0.2)") for number in (1, 2, 3)
    ]
    assert set(result["layers"][0]) == {
        "layer",
        "activation",
        "gradient_norm",
        "mean",
        "std",
        "saturated",
    }
    assert set(result) == {
        "command",
        "dtype",
        "inputs",
        "defaults",
        "notes",
        "layers",
        "verdict",
        "factors",
    }
    alone = flow("leaky_relu(0.2)", "--layers", "3", "--width", "8")
    assert alone["layers"] == result["layers"][3:]
    assert flow("sigmoid", "leaky_relu(0.2)", "--layers", "3", "--width", "8") == result


def test_without_names_it_is_the_usual_three_through_twenty_layers() -> None:
    result = flow("--width", "4")
    assert list(result["factors"]) == ["sigmoid", "tanh", "relu"]
    assert len(result["layers"]) == 60


def test_what_float32_cannot_hold_is_said() -> None:
    lost = flow("--activation", "sigmoid", "--layers", "90", "--width", "4")
    assert [note["code"] for note in lost["notes"]] == ["vanishing"]
    assert norms(lost, "sigmoid")[0] == 0
    assert lost["factors"]["sigmoid"] < 0.5
    kept = flow("--activation", "sigmoid", "--layers", "90", "--width", "4", "--dtype", "float64")
    assert kept["notes"] == []
    beyond = flow("--activation", "relu", "--layers", "90", "--init", "normal")
    assert "exploding" in beyond["verdict"]
    assert [note["code"] for note in beyond["notes"]] == ["not-a-number"]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_every_dtype_goes_through(dtype: str) -> None:
    result = flow("--layers", "3", "--dtype", dtype)
    assert result["dtype"] == dtype
    assert all(0 < row["gradient_norm"] < 1 for row in result["layers"])


def test_the_table_has_bars_on_one_scale_and_the_verdict() -> None:
    text = run("flow", "sigmoid", "relu", "--layers", "5", "--init", "kaiming").stdout
    bars = [
        [cell.strip() for cell in line.split("\u2502")[1:-1]]
        for line in text.splitlines()
        if "##" in line
    ]
    lengths = [len(cells[2]) for cells in bars]
    assert lengths == sorted(lengths)
    result = flow("sigmoid", "relu", "--layers", "5", "--init", "kaiming")
    assert "vanishing, a factor of" in text
    largest = max(row["gradient_norm"] for row in result["layers"])
    assert max(len(cell) for cells in bars for cell in cells if set(cell) == {"#"}) == 9
    assert f"{largest:.2g}" in text
    assert run(
        "flow", "sigmoid", "--layers", "5", env={"PYTHONIOENCODING": "ascii"}
    ).stdout.isascii()


def test_csv_is_a_row_per_layer_and_activation() -> None:
    lines = run("flow", "sigmoid", "relu", "--layers", "3", "--csv").stdout.splitlines()
    assert lines[0] == "layer,activation,gradient_norm,mean,std,saturated"
    assert [line.split(",")[:2] for line in lines[1:]] == [
        [n, a] for a in ("sigmoid", "relu") for n in "123"
    ]


def test_files_and_single_values(tmp_path: Path) -> None:
    words = ["flow", "sigmoid", "relu", "--layers", "3"]
    run(*words, "--out", "norms.npy", cwd=str(tmp_path))
    result = run(*words, "--json").json
    assert np.load(tmp_path / "norms.npy").tolist() == [
        norms(result, "sigmoid"),
        norms(result, "relu"),
    ]
    assert float(run(*words, "--get", "factors.relu").stdout) == result["factors"]["relu"]
    assert run(*words, "--get", "verdict").stdout == result["verdict"] + "\n"


@pytest.mark.parametrize(
    "words",
    [
        ["sigmoid", "--init", "xavier"],
        ["tanh", "leaky_relu(0.2)", "prelu", "--seed", "5", "--init", "kaiming"],
        ["relu", "--dtype", "float64", "--init", "normal"],
        ['gelu(approximate="tanh")', "rrelu"],
    ],
    ids=" ".join,
)
def test_the_program_prints_the_same_numbers(words: list[str]) -> None:
    words = ["flow", *words, "--layers", "4", "--width", "6"]
    for line, row in zip(
        printed(run(*words, "--code").stdout).splitlines(),
        run(*words, "--json").json["layers"],
        strict=True,
    ):
        number, name, *values = line.split(" ")
        assert (int(number), name) == (row["layer"], row["activation"])
        expected = [row[key] for key in ("gradient_norm", "mean", "std", "saturated")]
        assert [float(value) for value in values] == pytest.approx(expected, rel=1e-6)


def test_expectations() -> None:
    assert (
        run(
            "flow", "relu", "--init", "kaiming", "--expect", "factors.relu=1", "--tol", "0.05"
        ).status
        == 0
    )
    assert run("flow", "sigmoid", "--expect", "factors.sigmoid=1").status == 1


def test_the_norm_in_each_layer_is_checked_against_closed_form_and_difference() -> None:
    words = ("--layers", "30", "--width", "8", "--init", "xavier", "relu", "sigmoid", "--check")
    found = flow(*words)
    assert (set(found["check"]), found["ok"]) == ({"relu", "sigmoid"}, True)
    assert found["check"]["sigmoid"]["max_rel_error"] < 1e-5
    table = run("flow", *words, "--full").stdout.partition("Check: passes")[2]
    rows = [
        line.strip("│").split("│") for line in table.splitlines() if line.startswith("│ sigmoid ")
    ]
    shown = norms(found, "sigmoid")
    assert [float(row[2]) for row in rows] == pytest.approx(shown, rel=1e-3), (
        "the checked norms are those that are shown"
    )
    assert [float(row[4]) for row in rows] == pytest.approx(shown, rel=1e-3), "however small"


def test_a_check_follows_what_float32_cannot_hold() -> None:
    assert flow(
        "--layers", "60", "--init", "normal", "--width", "16", "relu", "tanh", "--check", "--quiet"
    )["ok"]
    assert flow("--layers", "90", "--width", "16", "sigmoid", "--check", "--quiet")["ok"]


def test_a_wrong_gradient_in_one_layer_ends_with_1(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = core.gradients

    def wrong(value: Tensor, inputs: Any, **more: Any) -> Any:
        return {
            n: None if g is None else 1.01 * g if n == "t" else g
            for n, g in honest(value, inputs, **more).items()
        }

    monkeypatch.setattr(core, "gradients", wrong)
    shown = run("flow", "--layers", "2", "--width", "4", "tanh", "--check", "--json", here=True)
    assert (shown.status, shown.json["check"]["tanh"]["ok"]) == (1, False)


def test_a_batch_has_it_too() -> None:
    job = {
        "id": 1,
        "command": "flow",
        "activation": ["sigmoid", "relu"],
        "layers": 3,
        "width": 4,
        "init": "xavier",
    }
    found = json.loads(run("batch", stdin=json.dumps(job)).stdout)
    assert found == {
        **flow("sigmoid", "relu", "--layers", "3", "--width", "4", "--init", "xavier"),
        "id": 1,
    }


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--activation", "sigmod"], "sigmoid"),
        (["--activation", "mse"], "loss"),
        (["--activation", "softmax"], "elementwise"),
        (["--activation", "step"], "no derivative"),
        (["relu", "--activation", "relu"], "twice"),
        (["--layers", "1"], "--layers"),
        (["--layers", "ten"], "--layers"),
        (["--width", "0"], "--width"),
        (["--width", "100000"], "--width"),
        (["--init", "he"], "kaiming"),
        (["--check", "--csv"], "--check cannot be used with --csv"),
        (["--explain"], "gradcli perceptron --x 1,0.5 --w 0.3,-0.2 --target 1 --explain"),
        (["--wrt", "x"], "with respect to the layers"),
        (["--graph", "tree"], "--graph"),
        (["--expect", "5"], "name a value"),
    ],
)
def test_a_mistake_is_named_with_its_cure(words: list[str], says: str) -> None:
    shown = run("flow", *words)
    assert (shown.status, shown.stdout) == (2, ""), shown.stderr
    assert shown.stderr.startswith("error: ")
    assert says in shown.stderr
