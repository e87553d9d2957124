"""`loss`: values, elements and gradients of losses side by side, against closed forms and plain
PyTorch.
"""

import csv
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from tests.program import run

PRED, TARGET = [0.9, 0.2, 0.4], [1.0, 0.0, 1.0]
BOTH = ["--pred", "0.9,0.2,0.4", "--target", "1,0,1", "--dtype", "float64", "--json"]


def only(*words: str) -> Any:
    """The one loss that a call shows."""
    (found,) = run("loss", *words).json["losses"]
    return found


@pytest.mark.parametrize(("reduction", "factor"), [("mean", 1 / 3), ("sum", 1.0)])
def test_mse_is_the_mean_or_the_sum_of_the_squares(reduction: str, factor: float) -> None:
    found = only("mse", *BOTH, "--reduction", reduction)
    squares = [(p - t) ** 2 for p, t in zip(PRED, TARGET, strict=True)]
    assert found["name"] == "mse"
    assert found["elements"] == pytest.approx(squares, rel=1e-12)
    assert found["value"] == pytest.approx(factor * sum(squares), rel=1e-12)
    slopes = [2 * factor * (p - t) for p, t in zip(PRED, TARGET, strict=True)]
    assert found["gradient"] == pytest.approx(slopes, rel=1e-12)


def test_without_reduction_the_value_is_the_elements_and_the_gradient_that_of_their_sum() -> None:
    found = only("bce", *BOTH, "--reduction", "none")
    elements = [-math.log(p if t else 1 - p) for p, t in zip(PRED, TARGET, strict=True)]
    assert found["value"] == found["elements"] == pytest.approx(elements, rel=1e-12)
    slopes = [(p - t) / (p * (1 - p)) for p, t in zip(PRED, TARGET, strict=True)]
    assert found["gradient"] == pytest.approx(slopes, rel=1e-12)


def test_an_argument_of_the_name_wins_over_the_default() -> None:
    found = only("huber(delta=2)", "--pred", "5,1", "--target", "0,0", "--json")
    assert found["elements"] == [2 * (5 - 0.5 * 2), 0.5]
    assert found["gradient"] == [2 / 2, 1 / 2]


@pytest.mark.parametrize("weight", ["tensor([[1.,2.],[3.,4.]])", "[[1, 2], [3, 4]]"])
def test_a_weight_may_have_rows(weight: str) -> None:
    operands = ("--pred", "1,2;3,4", "--target", "0,0;0,5")
    found = only(f"mse(weight={weight})", *operands, "--check", "--json")
    assert found["elements"] == [[1, 8], [27, 4]]
    assert found["value"] == 40 / (1 + 2 + 3 + 4)


def test_the_sums_keep_their_sum_whatever_the_reduction() -> None:
    for reduction in ("mean", "sum"):
        sse, half = run("loss", "sse", "half_sse", *BOTH, "--reduction", reduction).json["losses"]
        squares = sum((p - t) ** 2 for p, t in zip(PRED, TARGET, strict=True))
        assert sse["value"] == pytest.approx(squares, rel=1e-12)
        assert half["value"] == pytest.approx(squares / 2, rel=1e-12)
        assert half["gradient"] == pytest.approx(
            [p - t for p, t in zip(PRED, TARGET, strict=True)], rel=1e-12
        )


def test_the_norm_is_one_number_and_no_sum_of_elements() -> None:
    found = only("l2_norm", "--pred", "3,4", "--target", "0,0", "--json")
    assert found == {"name": "l2_norm", "value": 5.0, "elements": None, "gradient": [0.6, 0.8]}


@pytest.mark.parametrize("spelling", ["ce", "cross_entropy", "cross_entropy_loss"])
def test_a_name_may_be_written_as_in_pytorch_or_short(spelling: str) -> None:
    found = only(spelling, "--pred", "0,0", "--target", "1", "--json", "--dtype", "float64")
    assert found["value"] == pytest.approx(math.log(2), rel=1e-12)


@pytest.mark.parametrize("name", ["mse", "l1", "smooth_l1", "huber", "bce", "bce_with_logits", "nll", "kl_div", "soft_margin",
                                  "poisson_nll", "multi_margin", "hinge_embedding"])  # fmt: skip
def test_names_with_and_without_loss_are_one(name: str) -> None:
    target = "0" if name in ("nll", "multi_margin") else "1,1"
    words = ["--pred", "0.5,0.25", "--target", target, "--json"]
    long = {
        "bce": "binary_cross_entropy",
        "bce_with_logits": "binary_cross_entropy_with_logits",
        "kl_div": "kl",
    }
    short, full = only(name, *words), only(long.get(name, name + "_loss"), *words)
    assert {**short, "name": ""} == {**full, "name": ""}


LOGITS = torch.tensor([[2.0, 1.0, 0.1], [0.5, 0.5, 3.0]], dtype=torch.float64)


INDEXED: dict[str, Callable[..., Tensor]] = {
    "cross_entropy": F.cross_entropy,
    "nll": F.nll_loss,
    "multi_margin": F.multi_margin_loss,
}


@pytest.mark.parametrize("name", INDEXED)
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_index_losses_take_whole_numbers_as_classes(name: str, reduction: str) -> None:
    pytorch = INDEXED[name]
    leaf = LOGITS.clone().requires_grad_()
    value = pytorch(leaf, torch.tensor([0, 2]), reduction=reduction)
    (slope,) = torch.autograd.grad(value.sum(), leaf)
    words = [
        "--pred",
        str(LOGITS.tolist()),
        "--target",
        "0,2",
        "--dtype",
        "float64",
        "--reduction",
        reduction,
        "--json",
    ]
    result = run("loss", name, *words).json
    assert result["losses"][0]["value"] == value.tolist()
    assert result["losses"][0]["gradient"] == slope.tolist()
    assert (
        result["losses"][0]["elements"]
        == pytorch(LOGITS, torch.tensor([0, 2]), reduction="none").tolist()
    )


@pytest.mark.parametrize(("pred", "shape"), [("2,1,0.1", (3,)), ("[[2,1,0.1]]", (1, 3))])
def test_a_bare_class_meets_one_row_or_a_batch_of_one(pred: str, shape: tuple[int, ...]) -> None:
    found = only("cross_entropy", "--pred", pred, "--target", "0", "--dtype", "float64", "--json")
    total = sum(map(math.exp, (2, 1, 0.1)))
    assert found["value"] == pytest.approx(math.log(total) - 2, rel=1e-12)
    assert torch.tensor(found["gradient"]).shape == shape


def test_a_target_in_the_shape_of_the_logits_means_probabilities() -> None:
    found = only(
        "cross_entropy",
        "--pred",
        "2,1,0.1",
        "--target",
        "0.7,0.2,0.1",
        "--dtype",
        "float64",
        "--json",
    )
    total = sum(map(math.exp, (2, 1, 0.1)))
    assert found["value"] == pytest.approx(
        math.log(total) - (0.7 * 2 + 0.2 * 1 + 0.1 * 0.1), rel=1e-12
    )
    slopes = [math.exp(x) / total - t for x, t in zip((2, 1, 0.1), (0.7, 0.2, 0.1), strict=True)]
    assert found["gradient"] == pytest.approx(slopes, rel=1e-9)


def test_an_ignored_class_counts_for_nothing() -> None:
    words = ["--pred", "1,2;3,4", "--target", "0,-1", "--dtype", "float64", "--json"]
    found = only("cross_entropy(ignore_index=-1)", *words)
    assert found["value"] == pytest.approx(math.log(1 + math.e), rel=1e-12)
    assert found["gradient"][1] == [0.0, 0.0]


def test_a_broadcast_is_pytorchs_own_and_gets_a_note() -> None:
    shown = run("loss", "mse", "--pred", "1,2,3", "--target", "1;2;3", "--json")
    pred, target = torch.tensor([1.0, 2, 3]), torch.tensor([[1.0], [2], [3]])
    assert shown.json["losses"][0]["value"] == pytest.approx(float(((pred - target) ** 2).mean()))
    assert [note["code"] for note in shown.json["notes"]] == ["broadcast"]
    assert "3" in shown.json["notes"][0]["text"]
    shown = run("loss", "mse", "--pred", "1,2,3", "--target", "1;2;4")
    assert "Warning" not in shown.stderr
    assert "│ 2,1   │      │        │   4 │              │" in shown.stdout  # (2 - 4)**2


def test_the_keys_of_the_json_are_these_and_no_others() -> None:
    result = run("loss", "mse", "l1", "--pred", "1,2", "--target", "2,2", "--json").json
    assert set(result) == {"command", "dtype", "inputs", "defaults", "notes", "losses"}
    assert result["inputs"] == {"pred": [1.0, 2.0], "target": [2.0, 2.0]}
    assert [set(loss) for loss in result["losses"]] == [
        {"name", "value", "elements", "gradient"}
    ] * 2


def test_csv_has_elements_and_gradients_of_each_loss() -> None:
    shown = run("loss", "mse", "l2_norm", "--pred", "3,4", "--target", "0,0", "--csv").stdout
    assert (
        shown
        == "index,pred,target,mse,d_mse,l2_norm,d_l2_norm\n0,3.0,0.0,9.0,3.0,,0.6\n1,4.0,0.0,16.0,4.0,,0.8\n"
    )


@pytest.mark.parametrize(
    ("pred", "target", "rows"),
    [
        ("1,2", "1;2", ["0,0 1 1 0 -0.5", "0,1 2 - 1 0.5", "1,0 - 2 1 -", "1,1 - - 0 -"]),
        ("1,", "1;2", ["0,0 1 1 0 -1", "1,0 - 2 1 -"]),
        ("1,2;3,4", "1;2", ["0,0 1 1 0 0", "0,1 2 - 1 0.5", "1,0 3 2 1 0.5", "1,1 4 - 4 1"]),
        ("1,2;3,4", "1,2", ["0,0 1 1 0 0", "0,1 2 2 0 0", "1,0 3 - 4 1", "1,1 4 - 4 1"]),
        ("zeros(0)", "1", []),
    ],
)
def test_csv_of_a_pair_that_broadcasts_has_every_number_once(
    pred: str, target: str, rows: list[str]
) -> None:
    shown = run("loss", "mse", "l2_norm", "--pred", pred, "--target", target, "--csv").stdout
    found = [cells[:5] for cells in csv.reader(shown.splitlines()[1:])]
    assert [" ".join(cell.removesuffix(".0") or "-" for cell in cells) for cells in found] == rows


def test_csv_of_classes_lists_every_logit() -> None:
    lines = run(
        "loss", "cross_entropy", "--pred", "0,0;0,0", "--target", "0,1", "--csv"
    ).stdout.splitlines()
    assert lines[0] == "index,pred,target,cross_entropy,d_cross_entropy"
    assert [line.split(",")[-1] for line in lines[1:]] == ["-0.25", "0.25", "0.25", "-0.25"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["mse", "--pred", "1"], "--target is missing"),
        (["mse", "--target", "1"], "--pred is missing"),
        (["--pred", "1", "--target", "1"], "NAME is missing"),
        (["msee", "--pred", "1", "--target", "1"], "did you mean mse"),
        (["sigmoid", "--pred", "1", "--target", "1"], "gradcli activate sigmoid"),
        (["mse", "--pred", "1,2", "--target", "1,2,3"], "[2]"),
        (["mse", "--pred", "1,2", "--target", "1,2,3"], "[3]"),
        (["mse", "--pred", "1", "--target", "1", "--reduction", "avg"], "mean, sum, none"),
        (["cross_entropy", "--pred", "1,2,3", "--target", "3"], "3 classes"),
        (["cross_entropy", "--pred", "1,2,3", "--target", "-1"], "-1"),
        (["cross_entropy", "--pred", "1,2,3", "--target", "0.5"], "0.5"),
        (["cross_entropy", "--pred", "1,2,3", "--target", "nan"], "nan"),
        (["nll", "--pred", "1,2,3", "--target", "1,0,0"], "only cross_entropy"),
        (["cross_entropy", "--pred", "1", "--target", "0"], "a number for each class"),
        (["bce", "--pred", "1.5", "--target", "1"], "between 0 and 1"),
        (["mse", "--pred", "tensor([1,2])", "--target", "1,2"], "float"),
        (["mse(beta=2)", "--pred", "1", "--target", "1"], "beta"),
    ],
)
def test_a_mistake_is_named_with_its_cure(words: list[str], says: str) -> None:
    shown = run("loss", *words)
    assert (shown.status, shown.stdout) == (2, "")
    assert shown.stderr.startswith("error: ")
    assert says in shown.stderr


def test_integers_as_prediction_get_their_floating_form() -> None:
    shown = run("loss", "mse", "--pred", "tensor([1,2])", "--target", "1,2")
    assert "int64" in shown.stderr
    assert "plain numbers" in shown.stderr or "1,2" in shown.stderr or "1.0" in shown.stderr
