"""Notes: each code where it is due, and not where it is not. Slopes come from closed forms or plain
PyTorch.
"""

import os
import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from gradcli.catalogue.functions import ACTIVATIONS
from gradcli.commands.activate.request import Activate
from gradcli.errors import GradcliError
from gradcli.evaluate import watched
from gradcli.evaluate.job import Job, once_more
from gradcli.evaluate.machine import evaluate
from gradcli.evaluate.origin import origin
from gradcli.evaluate.watched import canonical
from gradcli.evidence.notes.notes import _RULES, collect_notes
from gradcli.language.calls import parse_call
from gradcli.language.expressions.expression import parse
from gradcli.language.source import Source
from gradcli.options.fill import from_words
from gradcli.results import Subject
from tests.catalogue.test_operators import outputs
from tests.choice import Choose, in_rows
from tests.operator_samples import Typed, UntypableError, entries, samples
from tests.program import run


def notes(*words: str) -> dict[str, list[str]]:
    """The texts of the notes of a call by code."""
    found: dict[str, list[str]] = {}
    for note in run(*words, "--json").json["notes"]:
        found.setdefault(note["code"], []).append(note["text"])
    return found


def one(code: str, *words: str) -> str:
    """The text of the only note with that code."""
    (text,) = notes(*words)[code]
    return text


def grad(expression: str, *inputs: str) -> dict[str, list[str]]:
    return notes("grad", expression, *inputs)


QUIET = [
    ["grad", "mse(w*x + b, y)", "x=1,2", "w=3", "b=0", "y=1,1"],
    ["grad", "cross_entropy(W @ x, y)", "W=1,2;3,4;5,6", "x=1,-1", "y=0"],
    ["grad", "nll(log_softmax(a, -1), y)", "a=2,1,0.1", "y=0"],
    ["grad", "bce(sigmoid(a), y)", "a=4", "y=1"],
    ["grad", "where(x > 0, where(x > 0, x, 1).sqrt(), 0).sum()", "x=0,4"],
    ["grad", "(a - y).pow(2).sum()", "a=1,2,3", "y=1;2;3"],
    ["grad", "softmax(x + m, -1)[0]", "x=1,2,3", "m=0,0,-inf", "--wrt", "x"],
    [
        "grad",
        "abs(x).sum() + x.clamp(-1, 1).sum() + maximum(x, y).sum() + x.amax()",
        "x=0.5,2",
        "y=1,1",
        "--wrt",
        "x",
    ],
    ["grad", "log(x)", "x=0.1"],
    ["grad", "exp(x)", "x=11", "--dtype", "float16"],
    ["activate", "sigmoid", "tanh", "relu", "gelu", "--x", "-2,0.5,2"],
    ["activate", "sigmoid", "--x", "-13,13"],
    ["activate", "gelu", "silu", "mish", "--x", "-0.7518,-1.2785,-1.1925"],
    ["activate", "relu", "--x", "-1,1"],
    ["loss", "cross_entropy", "--pred", "2,1,0.1", "--target", "0"],
    ["loss", "cross_entropy", "--pred", "2,1,0.1", "--target", "0.5,0.3,0.2"],
    ["loss", "cross_entropy", "--pred", "1,0", "--target", "0"],
    ["loss", "cross_entropy", "--pred", "0.7,0.2,0.1", "--target", "0"],  # logits may add up to 1
    ["loss", "mse", "l1", "huber", "--pred", "1,2", "--target", "0,0"],
    ["loss", "bce_with_logits", "--pred", "0.2,0.8", "--target", "0,1"],
    ["loss", "hinge_embedding", "--pred", "1", "--target", "1"],
    ["softmax-jacobian", "2,1,0.1"],
    ["jacobian", "sqrt(x)", "x=1,4"],
    ["hessian", "x**2 + x*y", "x=1", "y=2"],
    ["perceptron", "--x", "1,0.5", "--w", "0.3,-0.2", "--target", "1"],
]


@pytest.mark.parametrize("words", QUIET, ids=" ".join)
def test_a_sound_computation_gets_no_note(words: list[str]) -> None:
    assert notes(*words) == {}


# --- saturation


@pytest.mark.parametrize(("x", "slope"), [(14.0, 8.3e-7), (20.0, 2.1e-9)])
def test_a_tiny_slope_is_told_with_its_size(x: float, slope: float) -> None:
    text = one("saturated", "activate", "sigmoid", "--dtype", "float64", "--x", str(x))
    told = float(text.rpartition("slope is ")[2])
    exact = float(
        torch.sigmoid(torch.tensor(x, dtype=torch.float64))
        * torch.sigmoid(torch.tensor(-x, dtype=torch.float64))
    )
    assert told == pytest.approx(exact, rel=0.05)
    assert told == pytest.approx(slope, rel=0.05)
    assert f"x = {x:g}" in text


def test_a_slope_that_rounding_made_zero_is_exactly_zero_in_its_dtype() -> None:
    text = one("saturated", "activate", "sigmoid", "--x", "-2,0,20")
    assert "x[2] = 20" in text
    assert "exactly 0 in float32" in text
    assert "exactly" not in one(
        "saturated", "activate", "sigmoid", "--x", "20", "--dtype", "float64"
    )


@pytest.mark.parametrize(
    ("name", "flat", "steep"),
    [
        ("tanh", -9, 7), ("logsigmoid", 20, -20), ("softsign", 2000, 900), ("gelu", -7, 7), ("silu", -20, 20),
        ("mish", -20, 20), ("hardsigmoid", 4, 2), ("hardtanh", 2, 0.5), ("hardswish", -4, 4), ("softplus", -20, 19),
        ("elu", -20, 20), ("selu", -20, 20), ("celu(alpha=0.1)", -2, 2), ("F.softplus(beta=10)", -2, 1),
    ],
)  # fmt: skip
def test_every_activation_that_saturates(name: str, flat: float, steep: float) -> None:
    call, _, rest = name.partition("(")
    text = f"{call}(x{', ' + rest if rest else ')'}"
    assert "saturated" in grad(text, f"x={flat}")
    assert "saturated" not in grad(text, f"x={steep}")


def test_several_saturated_elements_are_counted() -> None:
    assert "2 of 3 elements" in one("saturated", "activate", "tanh", "--x", "-100,0,100")


def test_a_large_tensor_is_counted_as_a_whole() -> None:
    """The slope of sigmoid is below 1e-6 from x = log(1e6) = 13.8 on."""
    text = one(
        "saturated", "grad", "sigmoid(x).sum()", "x=linspace(0,30,3001)", "--dtype", "float64"
    )
    x = torch.linspace(0, 30, 3001, dtype=torch.float64)
    assert f"{int((torch.exp(-x) / (1 + torch.exp(-x)) ** 2 < 1e-6).sum())} of 3001" in text


def test_softmax_is_saturated_where_one_probability_is_everything() -> None:
    assert "exactly 0" in one("saturated", "softmax-jacobian", "0,300")
    assert "1 of 2 rows" in one("saturated", "activate", "softmax", "--x", "0,1;0,50")
    assert "always 1" in one("saturated", "grad", "softmax(x, 1).sum()", "x=1;2")


def test_a_row_of_which_a_mask_leaves_one_element_is_not_saturated() -> None:
    mask = "triu(full((3,3), -inf), 1)"
    assert grad(f"(softmax(A + {mask}, -1)*B).sum()", "A=randn(3,3)", "B=randn(3,3)") == {}
    assert grad(f"(nn.Softmin(dim=-1)(A - {mask})*B).sum()", "A=randn(3,3)", "B=randn(3,3)") == {}
    words = ("grad", f"(softmax(A + {mask}, -1)*B).sum()", "A=0,0,0;0,50,0;0,0,0", "B=randn(3,3)")
    assert "in 1 of 3 rows" in one("saturated", *words)


def test_relu_does_not_saturate_it_dies() -> None:
    found = grad("relu(w*x).sum()", "w=-1,-2", "x=3")
    assert set(found) == {"dead-relu"}
    assert "-3" in found["dead-relu"][0]


def test_what_is_not_differentiated_is_not_noted() -> None:
    assert grad("w*sigmoid(x) + relu(z)", "w=1", "x=50", "z=0") != {}
    assert notes("grad", "w*sigmoid(x) + relu(z)", "w=1", "x=50", "z=0", "--wrt", "w") == {}


# --- kinks


def slopes(text: str) -> tuple[float, float, float]:
    """Left, chosen and right slope in the words of a note."""
    words = text.replace("(", "").replace(")", "").replace(",", "").replace(";", "").split()
    return (
        float(words[words.index("left") + 1]),
        float(words[words.index("slope") + 1]),
        float(words[words.index("right") + 1]),
    )


@pytest.mark.parametrize(
    ("expression", "x", "left", "right", "where"),
    [
        ("relu(x)", "0", 0, 1, "x = 0"),
        ("abs(x).sum()", "1,0", -1, 1, "x[1] = 0"),
        ("x.abs()", "0", -1, 1, "x = 0"),
        ("leaky_relu(x, 0.2)", "0", 0.2, 1, "x = 0"),
        ("F.leaky_relu(x, negative_slope=0.3)", "0", 0.3, 1, "x = 0"),
        ("nn.LeakyReLU(0.25)(x)", "0", 0.25, 1, "x = 0"),
        ("elu(x, alpha=2)", "0", 2, 1, "x = 0"),
        ("clamp(x, -1, 1)", "1", 1, 0, "x = 1"),
        ("x.clamp(min=2)", "2", 0, 1, "x = 2"),
        ("maximum(x, 0)", "0", 0, 1, "x = 0"),
        ("minimum(x, 3*x/x)", "3", 1, 0, "x = 3"),
        ("x.max()", "1,3,3", 0, 1, "x[1] = 3"),
        ("x.amin()", "3,3,4", 1, 0, "x[0] = 3"),
        ("x.max(0)[0]", "1,3,3", 0, 1, "x[1] = 3"),
        ("x.max(dim=0).values", "3,3", 0, 1, "x[0] = 3"),
        ("torch.norm(x)", "0,0", -1, 1, "x[0] = 0"),
        ("torch.norm(x, 2.0)", "0,0", -1, 1, "x[0] = 0"),
        ("torch.norm(x, 1)", "1,0", -1, 1, "x[1] = 0"),
        ("torch.linalg.vector_norm(x, ord=1)", "1,0", -1, 1, "x[1] = 0"),
        ("relu(2*x + 1)", "-0.5", 0, 1, "2 * x + 1 = 0"),
        ("l1(x, y)", "5", -1, 1, "x = 5"),
        ("smooth_l1(x, y, beta=0)", "5", -1, 1, "x = 5"),
        ("multi_margin(x, t)", "2,1,0.3", -1 / 3, 0, "x[0] = 2"),
        ("F.multi_margin_loss(x, t, 1, 1.0, ones(3))", "2,1,0.3", -1 / 3, 0, "x[0] = 2"),
        ("multi_margin(x, t + 1)", "1,2,0.3", 0, 1 / 3, "x[0] = 1"),
        ("F.margin_ranking_loss(x, 0*x + 2, y/y)", "2", -1, 0, "x = 2"),
        (
            "F.margin_ranking_loss(x, tensor([9., 2., 2.]), y/y - 2*tensor([0., 1., 0.]), 1, reduction='sum')",
            "2,1,1",
            0,
            1,
            "x[1] = 1",
        ),
        (
            "nn.MarginRankingLoss(margin=0.5)(tensor(2.), x, target=-y/y)",
            "2.5",
            -1,
            0,
            "its input = 2.5",
        ),
        ("F.cosine_embedding_loss(x, tensor([0., 1.]), tensor(-1))", "2,0", 0, 0.5, "x[1] = 0"),
        (
            "nn.CosineEmbeddingLoss(0.6)(x[None], tensor([[1., 0.]]), -y/y*ones(1))",
            "3,4",
            0,
            0.128,
            "[0,0] = 3",
        ),
        ("x.std()", "3,3,3", -(3**-0.5), 3**-0.5, "x[0] = 3"),
        ("torch.std(x[None], 1, False)[0]", "3,3", -0.5, 0.5, "[0,0] = 3"),
        ("np.std(x)", "3,3", -0.5, 0.5, "x[0] = 3"),
        ("hinge_embedding(x, -y/y)", "1", -1, 0, "x = 1"),
    ],
)
def test_a_kink_that_is_hit_is_told_with_its_slopes(
    expression: str, x: str, left: float, right: float, where: str
) -> None:
    """Left and right are known from the formula; the choice between them is what plain autograd
    returns.
    """
    found = run(
        "grad",
        expression,
        f"x={x}",
        "y=5",
        "t=tensor(0)",
        "--wrt",
        "x",
        "--dtype",
        "float64",
        "--json",
    ).json
    (text,) = [note["text"] for note in found["notes"] if note["code"] == "kink"]
    assert where in text
    told = slopes(text)
    assert (told[0], told[2]) == pytest.approx((left, right), abs=1e-3)
    outer = {"relu(2*x + 1)": 2}.get(expression, 1)
    place = int(where.partition("[")[2][:1] or 0)
    gradient = found["gradients"]["x"]
    assert told[1] * outer == pytest.approx(
        gradient[place] if isinstance(gradient, list) else gradient, abs=1e-3
    )


def test_the_choice_of_pytorch_is_measured_and_not_known() -> None:
    x = torch.zeros((), requires_grad=True)
    for name, function in (("relu", torch.relu), ("abs", torch.abs)):
        (plain,) = torch.autograd.grad(function(x), x)
        assert slopes(one("kink", "grad", f"{name}(x)", "x=0"))[1] == float(plain)


@pytest.mark.smoke
def test_kinks_count_their_elements() -> None:
    assert "3 elements" in one("kink", "activate", "relu", "--x", "0,1,0,0")
    margin = ("loss", "multi_margin", "--pred", "1,2,1;5,0,0;3,1,2", "--target", "1,0,0")
    assert "5 elements" in one("kink", *margin)
    labels = ("loss", "multilabel_margin", "--pred", "2,1,3,1", "--target", "tensor([0,2,-1,1])")
    assert "3 elements" in one("kink", *labels)


def test_a_loss_of_pairs_beside_its_kink_has_none() -> None:
    for text, x in (
        ("F.margin_ranking_loss(x, tensor(2.), tensor(1.), margin=0.5)", "2"),
        ("F.cosine_embedding_loss(x, tensor([0., 1.]), tensor(1))", "2,0"),
        ("F.cosine_embedding_loss(x, tensor([0., 1.]), tensor(-1), 0.5)", "2,0"),
        ("F.cosine_embedding_loss(x, tensor([0., 0.]), tensor(-1))", "2,0"),
        ("x.std()", "3,3.5"),
        ("x.var()", "3,3"),
        ("x.std()", "3"),
        ("x.std(0).sum()", "3,3;"),
    ):
        assert "kink" not in notes("grad", text, f"x={x}")


@pytest.mark.parametrize(
    "name", [name for name, entry in ACTIVATIONS.items() if entry.kinks and entry.derivative]
)
def test_every_kink_of_every_activation(name: str) -> None:
    """An activation at each of its kinks, and beside them; the table of kinks has a test of its
    own.
    """
    text = "elu(alpha=2)" if name == "elu" else name  # the usual alpha of elu makes it smooth
    call = parse_call(Source(text))
    places = [
        float(eval(text, {"nan": float("nan")}, dict(call.bound))) for text in call.entry.kinks
    ]
    met = [place for place in places if place == place]
    assert met
    for place in met:
        # softplus jumps by 2e-9 there, and its slopes are the same to four digits.
        noted = notes("activate", text, "--x", repr(place))
        assert ("kink" in noted) is (name != "softplus")
        assert "kink" not in notes("activate", text, "--x", repr(place + 0.125))


def test_the_step_has_no_slope_to_choose() -> None:
    assert set(notes("activate", "step", "--x", "0")) == {"no-derivative"}


# --- losses


@pytest.mark.parametrize(
    "words",
    [
        ["grad", "cross_entropy(softmax(a, -1), y)", "a=2,1,0.1", "y=0"],
        ["grad", "p = softmax(a, -1); F.cross_entropy(p, y)", "a=2,1,0.1", "y=0"],
        ["grad", "nn.CrossEntropyLoss()(nn.Softmax(-1)(a), t)", "a=2,1,0.1", "t=tensor(0)"],
        ["grad", "nll(softmax(a, -1), y)", "a=2,1,0.1", "y=0"],
        ["grad", "cross_entropy(softmax(a, 1), y)", "a=200,1;0,1", "y=0,1"],
        ["grad", "bce_with_logits(a.sigmoid(), y)", "a=4", "y=1"],
        ["grad", "cross_entropy(exp(log_softmax(a, -1)), y)", "a=2,1,0.1", "y=0"],
        ["grad", "p = a.log_softmax(1).exp(); nll(p.view(1, 3), y)", "a=2,1,0.1;", "y=0"],
        ["value", "bce_with_logits(exp(F.logsigmoid(a)), y)", "a=4", "y=1"],
        [
            "perceptron",
            "--x",
            "1,0.5",
            "--w",
            "0.3,-0.2",
            "--target",
            "1",
            "--loss",
            "bce_with_logits",
        ],
    ],
    ids=" ".join,
)
def test_probabilities_where_logits_belong(words: list[str]) -> None:
    assert len(notes(*words)["double-softmax"]) == 1


@pytest.mark.parametrize(
    "expression",
    [
        "cross_entropy(log_softmax(a, -1), y)",
        "p = exp(log_softmax(a, -1)); cross_entropy(a, y) + 0*p.sum()",
        "p = exp(log_softmax(a, 0)); softmax(p, 1)[0, 0] + 0*y",
        "q = log_softmax(a, -1); cross_entropy(exp(a), y) + 0*q.sum()",
    ],
)
def test_logits_beside_log_softmax(expression: str) -> None:
    assert "double-softmax" not in notes("grad", expression, "a=2,1,0.1;", "y=0")


def test_targets_that_are_no_probabilities() -> None:
    assert "0.8" in one(
        "probabilities", "loss", "cross_entropy", "--pred", "2,1,0.1", "--target", "0.5,0.2,0.1"
    )
    assert "1.5" in one("probabilities", "loss", "kl", "--pred", "-1,-2", "--target", "0.5,1.5")
    assert "log" in one("probabilities", "loss", "kl", "--pred", "0.4,0.6", "--target", "0.5,0.5")
    assert "-0.5" in one(
        "probabilities", "loss", "bce_with_logits", "--pred", "1", "--target", "-0.5"
    )
    assert "probabilities" not in notes(
        "loss", "kl(log_target=True)", "--pred", "-1,-0.5", "--target", "-0.6931472,-0.6931472"
    )


@pytest.mark.parametrize(
    "name", ["mse", "l1", "huber", "sse", "l2_norm", "kl", "poisson_nll", "hinge_embedding"]
)
def test_a_loss_that_broadcasts(name: str) -> None:
    text = one("broadcast", "loss", name, "--pred", "1,2,3", "--target", "1;2;3")
    assert all(shape in text for shape in ("[3]", "[3, 1]", "[3, 3]"))
    assert "broadcast" not in notes("loss", name, "--pred", "1,2,3", "--target", "1,2,3")


def test_a_loss_outside_the_catalogue_that_broadcasts() -> None:
    words = ("grad", "gaussian_nll_loss(m, y, v)", "m=1,2", "v=1,1")
    assert "[2, 2]" in one("broadcast", *words, "y=1;2")
    assert "broadcast" not in notes(*words, "y=1,2")


# --- NaN, inf, and inputs without influence


def test_the_cause_of_the_first_broken_row_is_named() -> None:
    text = one("not-a-number", "grad", "log(x)/x", "x=1,0,-1", "--each", "x")
    assert text.startswith("NaN or inf in rows.1.value, ")
    assert text.endswith("log(0) = -inf came first")


@pytest.mark.parametrize(
    ("expression", "inputs", "cause"),
    [
        ("log(x).exp()*0 + log(x)", ["x=0"], "log(0) = -inf"),
        ("x/y", ["x=0", "y=0"], "0 / 0 = nan"),
        ("(x - x)/(y - y)", ["x=1", "y=2"], "0 / 0 = nan"),
        ("sqrt(x).sum()", ["x=4,-1"], "sqrt(-1) = nan"),
        ("-(p*p.log()).sum()", ["p=0,1"], "log(0) = -inf"),
        ("exp(x)", ["x=100"], "the largest float32 is 3.40282e+38"),
        (
            "where(x > 0, x.sqrt(), 0).sum()",
            ["x=0,4"],
            "in the backward pass, sqrt at 0 turns the gradient 0 into nan",
        ),
        ("(x**2).sqrt()", ["x=0"], "in the backward pass, sqrt at 0 turns the gradient 1 into inf"),
        ("2*x", ["x=nan"], "x itself"),
        (
            "softmax(x + m, -1)[0] + sqrt(z)",
            ["x=1,2", "m=0,-inf", "z=0"],
            "sqrt at 0 turns the gradient 1 into inf",
        ),
        (
            "sqrt(where(x > 0, x, 0)).sum() + (z**2).sqrt()",
            ["x=-1,4", "z=0"],
            "in gradients.z: in the backward pass, sqrt at 0",
        ),
        (
            "x = torch.where(m, x, 0); x.sqrt().sum()",
            ["x=4,0", "m=True,False"],
            "in intermediates.x.gradient: in the backward pass, sqrt at 0 turns the gradient 1 into inf",
        ),
        (
            "torch.linalg.eigh(A)[1].sum()",
            ["A=eye(2)"],
            "pass, eigh at 1 turns the gradient 1 into nan",
        ),
        (
            "L, V = torch.linalg.eigh(2*A); L.sum() + V[0].sum()",
            ["A=eye(2)"],
            "eigh at 2 turns a finite gradient into nan",
        ),
        (
            "torch.linalg.svd(A)[2].sum()",
            ["A=eye(2)"],
            "pass, svd at 1 turns the gradient 1 into nan",
        ),
        ("stack([x, log(y)]).sum()", ["x=1", "y=0"], "log(0) = -inf"),
        ("linalg.inv(A).sum() * (1/(s - 1))", ["A=eye(2)", "s=1"], "1 / 0 = inf"),
        # What is not finite is the value of a step alone.
        ("h = log(x); where(x > 0, x, 0).sum()", ["x=0,1"], "intermediates.h.value: log(0) = -inf"),
        ("h = sqrt(x); k = 2*h; x**2", ["x=-1"], "intermediates.k.value: sqrt(-1) = nan"),
    ],
)
def test_the_operation_that_made_it_first(expression: str, inputs: list[str], cause: str) -> None:
    (text,) = grad(expression, *inputs)["not-a-number"]
    assert cause in text


def test_it_is_told_where_nan_ended_up() -> None:
    assert "gradients.x:" in one("not-a-number", "grad", "(x**2).sqrt()", "x=0")
    assert "value, gradients.x" in one("not-a-number", "grad", "log(x)", "x=0")
    assert "jacobian.x" in one("not-a-number", "jacobian", "sqrt(x)", "x=0,1")
    assert "hessian.x.x" in one("not-a-number", "hessian", "x.pow(1.5).sum()", "x=0,1")
    assert "functions.0.value" in one("not-a-number", "activate", "sigmoid", "--x", "nan")


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        (["x.pow(1.5).sum()", "x=0,1"], "pow at 0 gives inf"),
        (["where(x > 0, x**1.5, 0).sum()", "x=0,1"], "** at 0 gives nan"),
        (["torch.norm(W @ x)", "W=1,2;3,4", "x=0,0", "--hvp", "x=1,1"], "norm at 0 gives nan"),
        (["broadcast_tensors(x, y)[1].sum()**1.5 + cos(x)", "x=0", "y=0,0"], "** at 0 gives inf"),
        (["x/y", "x=0", "y=1e-25"], "/ at 0 gives -inf"),  # by both operands
        # What comes from the other power is dropped by where, so it is not the cause.
        (["z.pow(1.5) + abs(where(x > 0, x, 0))**1.5", "z=0", "x=-1"], "pow at 0 gives inf"),
    ],
)
def test_the_operation_whose_second_derivative_is_not_finite(words: list[str], cause: str) -> None:
    text = one("not-a-number", "hessian", *words)
    assert text.endswith(f": in the second backward pass, {cause}")


def test_an_overflow_of_float16_is_called_one() -> None:
    text = one("not-a-number", "grad", "exp(x)", "x=12", "--dtype", "float16")
    assert "the largest float16 is 65504" in text
    assert "ends" not in one("not-a-number", "grad", "log(x)", "x=0", "--dtype", "float16")


def test_random_numbers_are_the_same_when_the_cause_is_sought() -> None:
    value = run("grad", "F.dropout(x).log().sum()", "x=ones(4)", "--json").json
    assert value["value"] == "-Infinity"
    assert "log(0) = -inf" in next(
        note["text"] for note in value["notes"] if note["code"] == "not-a-number"
    )


def test_an_input_without_influence() -> None:
    for words in (["grad", "x**2"], ["jacobian", "x**2"], ["hessian", "x**2"]):
        assert "y" in one("unused-input", *words, "x=1", "y=2").split("depend on ")[1]


def test_point_by_point_each_thing_is_told_once() -> None:
    found = notes("grad", "relu(x) + sigmoid(9*x)", "x=linspace(-4,4,9)", "--each", "x")
    assert set(found) == {"kink", "saturated"}
    assert all(len(texts) == 1 for texts in found.values())


def test_quiet_keeps_them_in_json_alone() -> None:
    shown = run("activate", "relu", "--x", "0", "--quiet")
    assert shown.stderr == ""
    assert run("activate", "relu", "--x", "0").stderr.endswith("[kink]\n")


# --- robustness


def test_no_operator_of_pytorch_trips_the_notes(choose: Choose[Any]) -> None:
    """Rules and the search for NaN on the samples of PyTorch's own database: remarks or none, but
    no exception.
    """
    looked = 0
    with once_more(torch.float64):
        operators = entries().values()
        for operator in choose(operators, in_rows(4, operators)):
            for sample in samples(operator, 2):
                looked += _looked_at(operator, sample)
    assert looked > 25


def _looked_at(operator: Any, sample: Any) -> int:
    job = Job(from_words(Activate, ["relu"], {"x": "1"}), lambda: "")
    try:
        typed = Typed(operator, sample)
        program = parse(Source(typed.text), tuple(typed.inputs))
        entering, leaving = watched.watching(program, job.before, job.watched)
        evaluate(program, typed.inputs, entering, leaving)
    except (UntypableError, GradcliError):
        if not job.watched:
            return 0
    looked = len(job.watched)
    collect_notes(job, ())
    assert not job.watched
    real = (
        (place, plain)
        for place, plain in outputs(typed.plain())
        if not (plain.is_complex() or plain.is_sparse)
    )
    place, plain = next(real, ("", None))
    if plain is not None:
        by = tuple(name for name, tensor in typed.inputs.items() if tensor.requires_grad)
        upstream = torch.ones_like(plain).detach()
        try:
            origin(Subject("", f"({typed.text}){place}", typed.inputs, by, upstream), job)
        except GradcliError:
            return looked
    return looked


def test_every_code_of_the_page_is_explained() -> None:
    """The table of docs/notes.md against `why`; PyTorch's own warnings have its words for a
    code.
    """
    with open(
        os.path.join(os.path.dirname(__file__), "..", "..", "docs", "notes.md"), encoding="utf-8"
    ) as page:
        codes = re.findall(r"^\| `([a-z-]+)` \|", page.read(), re.MULTILINE)
    assert len(codes) >= 14
    assert [code for code in codes if run("why", code, "--code").status] == ["pytorch"]


IN_ORDER: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "F.poisson_nll_loss(x, y, True, False)": lambda x, y: F.poisson_nll_loss(x, y, True, False),
    "F.kl_div(x, y, None, None, 'sum')": lambda x, y: F.kl_div(x, y, reduction="sum"),
    "F.hinge_embedding_loss(x, y, 0.5)": lambda x, y: F.hinge_embedding_loss(x, y, 0.5),
    "F.l1_loss(x, y, None, None, 'sum')": lambda x, y: F.l1_loss(x, y, reduction="sum"),
    "F.binary_cross_entropy(x, y, None)": lambda x, y: F.binary_cross_entropy(x, y, None),
    "F.cross_entropy(x, y, None)": lambda x, y: F.cross_entropy(x, y, None),
}


@pytest.mark.parametrize("call", IN_ORDER)
def test_the_parameters_of_a_loss_may_stand_in_order(call: str) -> None:
    x = torch.tensor([0.25, 0.75], requires_grad=True)
    value = IN_ORDER[call](
        x, torch.tensor([1.0, -1.0]) if "hinge" in call else torch.tensor([0.0, 1.0])
    )
    target = "y=1,-1" if "hinge" in call else "y=0,1"
    result = run("grad", call, "x=0.25,0.75", target, "--wrt", "x", "--json").json
    assert result["value"] == pytest.approx(value.item(), rel=1e-6)
    assert result["gradients"]["x"] == pytest.approx(
        torch.autograd.grad(value, x)[0].tolist(), rel=1e-6
    )


def test_every_function_that_a_rule_is_about_is_watched() -> None:
    """A rule about another one would never be applied, and nothing would say so."""
    assert {name for name in _RULES if canonical(name) != name} == set()
    assert len(_RULES) > 30
