"""`--check`: what it compares, its verdicts, and that a wrong gradient does not pass."""

import itertools
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from gradcli import core
from gradcli.commands.grad.result import GradResult
from gradcli.evaluate.job import Job
from gradcli.evidence.check.compare import check
from gradcli.evidence.check.differences import central_difference, ridders
from gradcli.language.expressions import expression
from gradcli.language.source import Source
from gradcli.options.shared import ComputeOptions
from gradcli.results import Checked, Subject
from tests.choice import first_usual, in_rows, rare
from tests.program import Ran, run


def checked(*words: str) -> Any:
    """The object of `--json`, the exit status compared with its `ok`."""
    ran = run(*words, "--check", "--json")
    found = ran.json
    assert ran.status == (0 if found["ok"] else 1)
    assert found["ok"] == all(each["ok"] for each in found["check"].values())
    return found


def verdicts(*words: str, name: str = "x") -> list[str]:
    """The verdicts of one input in order, from the table."""
    return [row[-1] for row in table(run(*words, "--check"), name)]


def table(ran: Ran, name: str) -> list[list[str]]:
    """The cells of the check's table by the input `name`, its heading left out."""
    assert ran.status in (0, 1), ran.stderr
    lines = ran.stdout.split("\nCheck: ")[1].splitlines()
    stop = next((i for i, line in enumerate(lines) if line.startswith("╰")), len(lines))
    rows = [
        [cell.strip() for cell in line.strip("│").split("│")]
        for line in lines[:stop]
        if line.startswith("│")
    ]
    if rows[0][0] == "function":
        return [row[1:] for row in rows[1:] if row[0] == name]
    return [
        row for row in rows[1:] if row[0].split(" at ")[0].split(" ")[-1].partition("[")[0] == name
    ]


def compared(text: str, upstream: Tensor | None = None, **inputs: Tensor) -> dict[str, Checked]:
    """An expression checked in this process."""
    by = tuple(name for name, tensor in inputs.items() if tensor.is_floating_point())
    header: Any = {
        "command": "grad",
        "dtype": "float64",
        "inputs": inputs,
        "defaults": [],
        "notes": [],
    }
    result = GradResult(
        **header, subjects=(Subject("", text, inputs, by, upstream),),
        expression=text, value=torch.zeros(()), gradients={}, intermediates={},
    )  # fmt: skip
    return check(result, Job(ComputeOptions(dtype="float64"), lambda: ""))


# --- numbers ------------------------------------------------------------------------------------


def test_three_ways_to_the_lectures_gradient() -> None:
    rows = table(run("grad", "--fn", "mse", "--x", "1", "--w", "2", "--check"), "w")
    assert rows == [["w", "2", "2", "2", "0", "0", "ok"]]


def test_json_has_the_errors_and_nothing_more() -> None:
    found = checked("grad", "sin(x)*w", "x=1,2", "w=3", "--vjp", "1,1")
    assert found["check"].keys() == {"x", "w"}
    for each in found["check"].values():
        assert each.keys() == {"max_abs_error", "max_rel_error", "ok"}
        assert 0 <= each["max_abs_error"] < 1e-9
        assert 0 <= each["max_rel_error"] < 1e-9


def test_the_columns_are_autograd_and_the_slope_of_the_function() -> None:
    x = torch.tensor([0.3, -2.0, 5.0], dtype=torch.float64)
    found = compared("(sin(x)*exp(x)).sum()", x=x)["x"]
    slope = x.exp() * (x.sin() + x.cos())
    torch.testing.assert_close(found.slopes, slope, rtol=1e-12, atol=0)
    torch.testing.assert_close(found.difference, slope, rtol=1e-8, atol=1e-9)
    torch.testing.assert_close(
        found.absolute, (found.slopes - found.difference).abs(), rtol=0, atol=0
    )
    assert found.max_abs_error == float(found.absolute.max())
    assert found.places == ["x[0]", "x[1]", "x[2]"]


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_it_computes_in_float64_whatever_the_job_does(dtype: str) -> None:
    found = checked("grad", "exp(x)", "x=1.3", "--dtype", dtype)["check"]["x"]
    assert found["max_rel_error"] < 1e-9


@pytest.mark.parametrize(
    ("text", "dtype"),
    [
        ("(x > 0).float() @ x", "float32"),
        ("(x > 0).to(torch.float32) @ x", "float32"),
        ("(x > 0).type(torch.float) @ x", "float32"),
        ("torch.arange(3, dtype=np.float32) @ x", "float32"),
        ("F.one_hot(tensor([0, 2, 0]), 3).to(dtype=torch.float32) @ x @ x", "float32"),
        ("(fft.fft(x) @ x.cfloat()).abs()", "float32"),
        ("exp(x.float()).sum()", "float32"),
        ("(x if x.dtype == torch.float32 else -x).sum()", "float32"),
        ("(x > 0).half() @ x + exp(x.float()).sum()", "float16"),
        ("(x > 0).bfloat16() @ x", "bfloat16"),
        ("(x > 0).double() @ x", "float64"),
    ],
)
def test_casts_to_the_dtype_of_the_job_are_to_float64(text: str, dtype: str) -> None:
    found = checked("grad", text, "x=1.3,-2,0.7", "--dtype", dtype)["check"]["x"]
    assert found["ok"]
    assert found["max_rel_error"] < 1e-9


@pytest.mark.parametrize(
    "text", ["x.half().float().sin().sum()", "(tensor([1065353216]).int().view(torch.float32)*x).sum()"]
)  # fmt: skip
def test_casts_that_lose_digits_and_readings_of_bits_stay(text: str) -> None:
    assert verdicts("grad", text, "x=1,2,3") == ["ok", "ok", "ok"]


def test_several_subjects_are_told_apart() -> None:
    assert checked("activate", "sigmoid", "leaky_relu(0.2)", "step", "--x", "1,2")["check"].keys() == {
        "sigmoid.x", "leaky_relu(0.2).x", "step.x",
    }  # fmt: skip
    found = checked("loss", "mse", "l1", "--pred", "1,2", "--target", "0,5")
    assert found["check"].keys() == {"mse.pred", "l1.pred"}


ACTIVATIONS = (
    "relu", "relu6", "elu(2)", "selu", "celu(0.5)", "leaky_relu(0.2)", "prelu", "rrelu", "gelu", "gelu('tanh')", "silu",
    "mish", "softplus(2)", "softshrink", "hardshrink", "tanhshrink", "softsign", "tanh", "sigmoid", "logsigmoid", "hardtanh",
    "hardsigmoid", "hardswish", "threshold(0.1, 20)", "softmax", "log_softmax", "softmin",
)  # fmt: skip
X = "-3.7,-1.3,-0.2,0.4,2.1,6.5"


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_activation_has_a_closed_form_that_agrees(name: str) -> None:
    rows = table(run("activate", name, "--x", X, "--check"), "x")
    assert [len(row) for row in rows] == [7] * 6
    assert [row[-1] for row in rows] == ["ok"] * 6


LOSSES = {
    "mse": "0,1,-2", "l1": "0,1,-2", "smooth_l1": "0,1,-2", "huber(delta=0.5)": "0,1,-2", "soft_margin": "1,-1,1",
    "mse(weight=[1, 2, 0.5])": "0,1,-2", "l1(weight=[1, 2, 0.5])": "0,1,-2", "huber(weight=[1, 2, 0.5])": "0,1,-2",
    "bce_with_logits": "0,1,0.3", "bce_with_logits(pos_weight=3)": "0,1,0.3", "kl": "0.2,0.5,0.3",
    "kl(reduction=batchmean)": "0.2,0.5,0.3", "poisson_nll": "0,1,2", "hinge_embedding": "1,-1,1", "sse": "0,1,-2",
    "half_sse": "0,1,-2", "l2_norm": "0,1,-2", "cross_entropy": "1", "cross_entropy(weight=[1, 2, 0.5])": "1", "nll": "2",
    "cross_entropy(label_smoothing=0.1)": "1", "multi_margin": "1", "multilabel_margin": "tensor([1,-1,-1])",
    "multilabel_soft_margin": "0,1,1",
}  # fmt: skip


REDUCED = [*itertools.product(LOSSES, ("mean", "sum", "none"))]


@pytest.mark.parametrize("case", first_usual(REDUCED, in_rows(2, REDUCED)), ids="-".join)
def test_every_loss_has_a_closed_form_that_agrees(case: tuple[str, str]) -> None:
    name, reduction = case
    if name == "l1":
        assert "kink" not in verdicts(
            "loss", name, "--pred", "0.5,2,0.1", "--target", LOSSES[name], name="pred"
        )
    words = (
        "loss",
        name,
        "--pred",
        "0.5,2.2,0.1",
        "--target",
        LOSSES[name],
        "--reduction",
        reduction,
    )
    rows = table(run(*words, "--check"), "pred")
    assert [(len(row), row[-1]) for row in rows] == [(7, "ok")] * 3


@pytest.mark.parametrize(
    "words",
    [
        ("cross_entropy", "--target", "0,2"),
        ("cross_entropy(weight=[1, 2, 0.5], ignore_index=2)", "--target", "0,2"),
        ("nll(weight=[1, 2, 0.5])", "--target", "0,2"),
        ("multi_margin(2)", "--target", "0,2"),
        ("mse", "--target", "1,2,3"),
    ],
)
def test_closed_forms_of_batches(words: tuple[str, ...]) -> None:
    rows = table(run("loss", *words, "--pred", "2,1,0.1;0.3,-1,2.2", "--check"), "pred")
    assert [(len(row), row[-1]) for row in rows] == [(7, "ok")] * 6


def test_the_closed_form_of_probabilities_as_a_target_is_derived() -> None:
    rows = table(
        run("loss", "cross_entropy", "--pred", "2,1,0.1", "--target", "0.2,0.3,0.5", "--check"),
        "pred",
    )
    assert [(len(row), row[-1]) for row in rows] == [(7, "ok")] * 3


@pytest.mark.parametrize(
    ("words", "columns"),
    [
        (("--fn", "mse", "--x", "1,2;3,4", "--w", "2,3", "--b", "0.5", "--y", "1,1;0,0"), 7),
        (("--fn", "l1", "--x", "1,2;3,4", "--w", "2,3", "--b", "0.5"), 7),
        (("--fn", "mse(reduction=none)", "--x", "1,2", "--w", "2", "--vjp", "1,3"), 7),
        (("--fn", "mse", "--x", "1,2", "--w", "2", "--vjp", "3"), 7),
        (("--fn", "tanh", "--x", "1,2", "--w", "2,3", "--b", "0.5", "--row", "1"), 7),
        (("--fn", "cross_entropy", "--x", "1,2,3", "--w", "0.5", "--y", "2"), 7),
        (("--fn", "softmax", "--x", "1,2,3", "--w", "0.5", "--row", "0"), 7),
    ],
)
def test_closed_forms_go_through_x_times_w_plus_b(words: tuple[str, ...], columns: int) -> None:
    ran = run("grad", *words, "--check")
    for name in ("x", "w"):
        rows = table(ran, name)
        assert {(len(row), row[-1]) for row in rows} == {(columns, "ok")}


@pytest.mark.parametrize(
    "words",
    [
        ("--x", "1,0.5", "--w", "0.3,-0.2", "--target", "1"),
        ("--x", "1,0.5", "--w", "0.3,-0.2;1,2", "--b", "0.1,0.2", "--target", "1,0"),
        ("--x", "1,0.5;2,1;0,3", "--w", "0.3,-0.2;1,2", "--b", "0.1", "--target", "1,0;0,0;1,1"),
        (
            "--x",
            "1,0.5;2,1;0,3",
            "--w",
            "0.3,-0.2",
            "--target",
            "1,0,1",
            "--activation",
            "tanh",
            "--loss",
            "mse",
        ),
    ],
)
def test_the_layers_closed_form_is_the_lectures(words: tuple[str, ...]) -> None:
    ran = run("perceptron", *words, "--check")
    for name in ("x", "w", "b"):
        rows = table(ran, name)
        assert {(len(row), row[-1]) for row in rows} == {(7, "ok")}


def test_the_closed_form_of_the_softmax_jacobian_is_the_lectures() -> None:
    ran = run("softmax-jacobian", "2,1,0.1", "--check", "--precision", "12")
    rows = table(ran, "x")
    p = torch.softmax(torch.tensor([2, 1, 0.1], dtype=torch.float64), 0)
    assert float(rows[1][2]) == pytest.approx(float(-p[0] * p[1]), abs=1e-7)
    assert (rows[1][0], rows[1][-1]) == ("p[0] / x[1]", "ok")
    assert len(rows) == 9
    assert len(table(run("softmax-jacobian", "2,1,0.1", "--row", "-1", "--check"), "x")) == 3


def test_each_point_is_compared_by_itself() -> None:
    words = ("grad", "relu(x)*w.sum()", "x=-1,0,2", "w=3,4", "--each", "x")
    assert set(checked(*words)["check"]) == {"x", "w"}
    assert [(row[0], row[1], row[-1]) for row in table(run(*words, "--check"), "x")] == [
        ("x[0]", "0", "ok"), ("x[1]", "0", "kink"), ("x[2]", "7", "ok"),
    ]  # fmt: skip
    assert [row[0] for row in table(run(*words, "--check"), "w")][:2] == [
        "w[0] at x[0]",
        "w[1] at x[0]",
    ]
    of_fn = table(
        run("grad", "--fn", "mse", "--x", "1,2", "--w", "3", "--each", "x", "--check"), "x"
    )
    assert [row[1:4] for row in of_fn] == [["12"] * 3, ["30"] * 3], (
        "autograd, closed form and difference"
    )


def test_a_jacobian_is_compared_whole() -> None:
    rows = table(run("jacobian", "W @ x", "W=1,2;3,4", "x=1,2", "--check"), "x")
    assert [(row[0], float(row[1]), row[-1]) for row in rows] == [
        ("y[0] / x[0]", 1, "ok"), ("y[0] / x[1]", 2, "ok"), ("y[1] / x[0]", 3, "ok"), ("y[1] / x[1]", 4, "ok"),
    ]  # fmt: skip


def test_a_hessian_is_compared_with_differences_of_the_gradient() -> None:
    rows = table(run("hessian", "x**2*y", "x=1", "y=2", "--check"), "x")
    assert [(row[0], float(row[1]), row[-1]) for row in rows] == [
        ("x x", 4, "ok"),
        ("y x", 2, "ok"),
    ]


# --- special points -----------------------------------------------------------------------------


HONEST = [
    ("relu(x).sum()", "0,1,-1", ["kink", "ok", "ok"]),
    ("abs(x).sum()", "0,1,-1", ["kink", "ok", "ok"]),
    ("l1(x, y)", "1,2,3", ["ok", "kink", "ok"]),
    ("clamp(x, -1, 1).sum()", "-1,0,1", ["kink", "ok", "kink"]),
    ("hardtanh(x).sum()", "-1,1,2", ["kink", "kink", "ok"]),
    ("maximum(x, y).sum()", "2,1,5", ["kink", "ok", "ok"]),
    ("x.max()", "2,2,1", ["kink", "kink", "ok"]),
    ("torch.norm(x)", "0,0,0", ["kink", "kink", "kink"]),
    ("(relu(x) - relu(-x)).sum()", "0,1,2", ["inner-kink", "ok", "ok"]),
    ("where(x == 1, 2*x, x + 1).sum()", "0,1,2", ["ok", "inner-kink", "ok"]),
    ("where(x == 0, 0, sin(x)/x).sum()", "0,1,2", ["undefined", "ok", "ok"]),
    ("sqrt(x**2).sum()", "0,1,2", ["kink", "ok", "ok"]),
    ("sqrt(x).sum()", "0,1,4", ["infinite", "ok", "ok"]),
    ("log(x).sum()", "1e-8,1,4", ["ok", "ok", "ok"]),
    ("log(x)[0]", "0,1,2", ["infinite", "infinite", "infinite"]),
    ("(x**1.5).sum()", "0,1,2", ["edge", "ok", "ok"]),
    ("round(x).sum()", "0.5,0.7,1", ["jump", "flat", "flat"]),
    ("floor(x).sum()", "1,1.5,-0.5", ["jump", "flat", "flat"]),
    ("(x > 1).float().mul(x).sum()", "1,2,0", ["jump", "ok", "ok"]),
    ("(x.detach()*x).sum()", "1,2,3", ["detached"] * 3),
    ("(x + (round(x) - x).detach()).sum()", "0.3,0.7,2", ["detached"] * 3),
    ("embedding(tensor([0, 1, 0]), x.reshape(3, 1), padding_idx=0).sum()", "1,2,3", ["padding", "ok", "ok"]),
    ("torch.normal(x, 1.0).sum()", "1,2,3", ["random"] * 3),
    ("sum(x**2)", "0,1e-9,1e9", ["ok", "ok", "ok"]),
    ("(1e8 + x).sum() - 3e8", "1,2,3", ["ok", "ok", "ok"]),
    ("x.float().sin().sum()", "1,2,3", ["ok", "ok", "ok"]),
    ("x.mean()*1e-9", "1,2,3", ["ok", "ok", "ok"]),
    ("sigmoid(x).sum()", "40,-40,800", ["ok", "ok", "ok"]),
    ("sin(x).sum()", "1e6,-1e9,1e300", ["ok", "ok", "rough"]),
    ("trunc(x).sum()", "1e12,1e12,3.5", ["jump", "jump", "flat"]),
    ("(trunc(x)*x).sum()", "1000000000000.5,-1000000.5,2.5", ["ok", "ok", "ok"]),
    ("trunc(exp(x)).sum()", "40,1,2", ["between-jumps", "flat", "flat"]),
    ("relu(x - 1).sum()", "1.000000001,0.999999999,1", ["ok", "ok", "kink"]),
    ("gelu(x, approximate='tanh').sum()", "-6.5,-7,-6", ["ok", "ok", "ok"]),
    ("bce(x, y).sum()", "0,0.5,1", ["edge", "ok", "edge"]),
    ("(x*nan).sum()", "1,2,3", ["nan"] * 3),
]  # fmt: skip
"""Expressions at special points, with the verdict on each element of x."""


@pytest.mark.parametrize(
    "case", first_usual(HONEST, lambda case: frozenset(case[2])), ids=lambda case: case[0]
)
def test_honest_gradients_are_never_called_wrong(case: tuple[str, str, list[str]]) -> None:
    text, x, expected = case
    inputs = {
        name: f"{name}={numbers}"
        for name, numbers in (("x", x), ("y", "2,2,0" if "bce" not in text else "0,1,1"))
    }
    words = [inputs[name] for name in inputs if name in text]
    ran = run("grad", text, *words, "--wrt", "x", "--check", "--dtype", "float64")
    assert [row[-1] for row in table(ran, "x")] == expected
    assert ran.status == 0


@pytest.mark.parametrize(
    ("text", "x"),
    [
        ("1-erf(x)", "5"),
        ("gelu(x)", "-6.5"),
        ("gelu(x, approximate='tanh')", "-5.75"),
        ("x-x*(1-1e-9)", "3"),
    ],
)
def test_what_cancels_scatters_by_more_than_its_own_size_and_is_not_called_wrong(
    text: str, x: str
) -> None:
    assert verdicts("grad", text, f"x={x}")[0] in ("ok", "rough")


def test_a_closed_form_judges_where_rounding_hides_the_difference() -> None:
    assert verdicts(
        "activate",
        "gelu('tanh')",
        "sigmoid",
        "--x",
        "-6.5",
        "--dtype",
        "float64",
        name="gelu('tanh').x",
    ) == ["ok"]
    assert verdicts("activate", "sigmoid", "--x", "40", "--dtype", "float64") == ["ok"]


def test_a_step_is_said_to_have_no_derivative() -> None:
    ran = run("activate", "step", "--x", "-2,0,3", "--check")
    assert table(ran, "x") == [
        ["x[0]", "", "0", "", "", "none"], ["x[1]", "", "", "0", "inf", "undefined"], ["x[2]", "", "0", "", "", "none"],
    ]  # fmt: skip
    assert "has no derivative at this point" in ran.stdout
    assert verdicts("activate", "step", "--x", "nan,inf") == ["nan", "nan"], (
        "it does not jump there"
    )
    assert checked("activate", "step", "--x", "0")["check"] == {
        "x": {"max_abs_error": 0, "max_rel_error": 0, "ok": True}
    }


def test_an_activation_to_which_pytorch_gives_no_defaults_is_checked() -> None:
    assert run("activate", "threshold(1)", "prelu(1/2)", "--x", "-1,2", "--check").status == 0


@pytest.mark.parametrize(
    ("text", "status", "verdict"),
    [("x.norm()", 0, "undefined"), ("x.norm() + x.square().sum()", 0, "undefined"), ("x.norm()**2", 1, "wrong")],
)  # fmt: skip
@pytest.mark.parametrize("words", [(), ("--hvp", "x=1,-1")])
def test_where_the_gradient_jumps_no_second_derivative_is_wrong(
    text: str, status: int, verdict: str, words: tuple[str, ...]
) -> None:
    shown = run("hessian", text, "x=0,0", *words, "--check")
    assert shown.status == status
    verdicts = [row[-1] for row in table(shown, "x")]
    assert verdicts == [verdict] * (2 if words else 4)
    assert ("undefined: the gradient jumps here" in shown.stdout) is (status == 0)


def test_a_hessian_goes_through_what_is_detached() -> None:
    assert verdicts("hessian", "x.detach()*x**2", "x=3") == ["detached"]
    assert verdicts("hessian", "(x.detach()*sin(x)*w).sum()", "x=3", "w=2")[0] == "detached"


@pytest.mark.parametrize(
    "text",
    [
        "pow(x, n)",
        rare("x**n"),
        rare("torch.float_power(x, n)"),
        rare("relu(3*x**n)"),
        "(x**n).exp()",
    ],
)
def test_pytorchs_second_derivative_of_pow_at_exponent_0_is_named_as_wrong(text: str) -> None:
    ran = run("hessian", text, "x=2", "n=0", "--check", "--dtype", "float64")
    assert ran.status == 1
    assert [row[-1] for row in table(ran, "x")] == ["ok", "ok"]
    row = table(ran, "n")[0]
    assert (row[0], row[-1]) == ("x n", "pytorch")
    assert "is 0 at exponent 0, but should be 1/base" in ran.stdout
    assert run("hessian", text, "x=2", "n=0.5", "--check", "--dtype", "float64").status == 0


def test_a_kink_shows_the_slopes_of_both_sides_and_pytorchs_choice() -> None:
    ran = run("grad", "relu(x)", "x=0", "--check")
    assert table(ran, "x") == [["x", "0", "0", "0.5", "0", "1", "kink"]]
    assert "the slopes from the left and the right differ" in ran.stdout


def test_a_jump_shows_on_which_side_it_is() -> None:
    assert table(run("grad", "round(x)*1.0", "x=0.5", "--check"), "x") == [
        ["x", "0", "0", "", "0", "inf", "jump"]
    ]


def test_every_evaluation_draws_the_same_numbers() -> None:
    ran = run("grad", "F.dropout(x, 0.5).sum()", "x=1,2,3,4,5,6,7,8", "--check", "--seed", "3")
    rows = table(ran, "x")
    assert {row[-1] for row in rows} == {"ok"}
    assert {row[1] for row in rows} == {"0", "2"}, "the seed leaves some and drops some"
    assert "dropout drew the same numbers for every evaluation" in ran.stdout


def test_a_gradient_lost_to_nan_is_wrong() -> None:
    ran = run("grad", "where(x > 0, sqrt(x), 0*x).sum()", "x=-1,4", "--check")
    assert [row[-1] for row in table(ran, "x")] == ["wrong", "ok"]
    assert ran.status == 1


# --- wrong gradients ----------------------------------------------------------------------------


def _scaled(found: Tensor) -> Tensor:
    return found * 1.0001


def _swapped(found: Tensor) -> Tensor:
    return found.flip(0)


def _shifted(found: Tensor) -> Tensor:
    return found + 1e-3


@pytest.mark.parametrize(
    "spoil", [_scaled, _swapped, rare(_shifted), torch.neg, rare(torch.zeros_like)]
)
@pytest.mark.parametrize(
    "text",
    [
        "(sin(x)*x).sum()",
        rare("exp(x).mean()"),
        rare("relu(x).pow(2).sum()"),
        "cross_entropy(x, 0)",
    ],
)
def test_a_wrong_gradient_does_not_pass(
    text: str, spoil: Callable[[Tensor], Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    x = torch.tensor([0.5, 1.0, 2.5], dtype=torch.float64)
    assert compared(text, x=x)["x"].ok
    right = core.gradients

    def gradients(*arguments: Any, **keywords: Any) -> dict[str, Tensor | None]:
        found = right(*arguments, **keywords)
        return {name: None if slope is None else spoil(slope) for name, slope in found.items()}

    monkeypatch.setattr(core, "gradients", gradients)
    found = compared(text, x=x)["x"]
    assert not found.ok
    assert "wrong" in found.verdicts
    assert found.max_rel_error > 1e-5


def test_a_wrong_gradient_ends_the_program_with_1(monkeypatch: pytest.MonkeyPatch) -> None:
    right = core.gradients
    words = ("grad", "--fn", "mse", "--x", "1", "--w", "2", "--check")
    assert run(*words).status == 0

    def gradients(*arguments: Any, **keywords: Any) -> dict[str, Tensor | None]:
        return {n: None if s is None else 2 * s for n, s in right(*arguments, **keywords).items()}

    monkeypatch.setattr(core, "gradients", gradients)
    ran = run(*words, here=True)
    assert ran.status == 1
    assert table(ran, "w")[0][-1] == "wrong"
    found = run(*words, "--json", here=True).json["check"]["w"]
    assert found["max_rel_error"] == pytest.approx(0.5, abs=0.01)
    for form in (["--get", "ok"], ["--json"], ["--quiet"]):
        assert run(*words, *form, here=True).status == 1


# --- sizes, forms, refusals ---------------------------------------------------------------------


def test_of_many_slopes_some_are_chosen_evenly() -> None:
    ran = run("grad", "x.square().mean()", "x=linspace(-1,2,5000)", "--check")
    rows = table(ran, "x")
    assert ran.status == 0
    assert "200 of 5000 slopes, evenly spaced" in ran.stdout
    assert (rows[0][0], rows[-1][0]) == ("x[0]", "x[4999]")
    ran = run("jacobian", "sigmoid(W @ x)", "W=randn(60,40)", "x=randn(40)", "--check", "--json")
    assert ran.json["ok"] is True


def test_nothing_to_check_is_a_usage_error() -> None:
    ran = run("perceptron", "--train", "and", "--check")
    assert (ran.status, ran.stdout) == (2, "")
    assert "--check compares one gradient" in ran.stderr


def test_ok_is_false_where_an_expectation_fails() -> None:
    ran = run("grad", "x**2", "x=1", "--check", "--expect", "3", "--json")
    assert (ran.status, ran.json["ok"], ran.json["check"]["x"]["ok"]) == (1, False, True)


def test_a_file_has_the_check_too(tmp_path: Any) -> None:
    path = tmp_path / "result.json"
    assert run("grad", "x**2", "x=1", "--check", "--out", str(path)).status == 0
    assert '"check":{"x":{' in path.read_text()


# --- differences --------------------------------------------------------------------------------


def _change(function: Callable[[float], float], x: float) -> Any:
    return lambda step: (function(x + step) - function(x), abs(function(x + step)))


@pytest.mark.parametrize(
    ("function", "x", "slope"),
    [
        (math.sin, 1.0, math.cos(1.0)),
        (math.log, 1.5, 1 / 1.5),
        (math.exp, 20.0, math.exp(20.0)),
        (lambda x: x**3, 0.0, 0.0),
    ],
)
def test_slopes_of_smooth_functions(
    function: Callable[[float], float], x: float, slope: float
) -> None:
    found = ridders(_change(function, x), x, 2.0**-52)
    assert found.central is not None
    assert found.central.slope == pytest.approx(slope, rel=1e-8, abs=1e-12)
    assert abs(found.central.slope - slope) <= found.central.doubt + 1e-14
    assert (found.bends, found.diverges) == (False, False)


def test_slopes_of_both_sides_of_a_kink() -> None:
    found = ridders(_change(abs, 0.0), 0.0, 2.0**-52)
    assert found.left is not None
    assert found.right is not None
    assert (found.left.slope, found.right.slope, found.bends, found.jumps) == (-1, 1, True, False)
    assert central_difference(_change(abs, 0.0), 0.0, 2.0**-52)[1] is False


def test_a_jump_grows_as_the_step_shrinks() -> None:
    found = ridders(_change(lambda x: math.floor(x), 1.0), 1.0, 2.0**-52)
    assert found.jumps
    assert ridders(_change(lambda x: math.sqrt(abs(x)), 0.0), 0.0, 2.0**-52).diverges


def test_rerunning_reads_the_expression_as_it_was() -> None:
    text = "h = x**2; h*h"
    assert expression.parse(Source(text), ("x",)) is expression.parse(Source(text), ("x",))
    found = compared(text, x=torch.tensor(1.5, dtype=torch.float64))["x"]
    assert float(found.slopes[0]) == pytest.approx(4 * 1.5**3)
