"""`--expect`: names, tolerance, shapes and exit status, and every slip with answers that it names and that it must not.

The slips are made here by hand or by plain PyTorch, never by gradcli's own rewriting.
"""

import math
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from gradcli.tables.slips import SLIPS
from tests.program import run


def expected(*words: str) -> dict[str, Any]:
    """The expectations of `--json`, the exit status compared with what they say."""
    ran = run(*words, "--json")
    found: dict[str, Any] = ran.json["expect"]
    assert ran.json["ok"] == all(each["ok"] for each in found.values())
    assert ran.status == (0 if ran.json["ok"] else 1)
    return found


def slip(*words: str) -> str | None:
    """The slip that the only expectation is explained by; it must have failed."""
    (found,) = expected(*words).values()
    assert found["ok"] is False
    return found["slip"]  # type: ignore[no-any-return]


def text(tensor: Tensor) -> str:
    """A tensor as the word that `--expect` takes."""
    return str(tensor.detach().double().tolist())


def slope(value: Tensor, leaf: Tensor) -> Tensor:
    return torch.autograd.grad(value, leaf, retain_graph=True)[0]


# --- names, tolerance, shapes ---------------------------------------------------------------------------------------

MSE = ("grad", "--fn", "mse", "--x", "1", "--w", "2")


def test_the_lectures_gradient_as_expected() -> None:
    assert expected(*MSE, "--expect", "w=2", "--expect", "value=1", "--expect", "gradients.x=4") == {
        "w": {"expected": 2.0, "computed": 2.0, "ok": True, "slip": None},
        "value": {"expected": 1.0, "computed": 1.0, "ok": True, "slip": None},
        "gradients.x": {"expected": 4.0, "computed": 4.0, "ok": True, "slip": None},
    }


def test_a_bare_number_is_the_only_gradient() -> None:
    assert expected("grad", "x**3", "x=2", "--expect", "12").keys() == {"x"}
    assert expected("grad", "x**3 + 0*w", "x=2", "w=1", "--wrt", "x", "--expect", "12").keys() == {"x"}
    assert expected("grad", "x**3", "x=2", "w=1", "--expect", "12").keys() == {"x"}, "the gradient by w is null"


@pytest.mark.parametrize(
    ("words", "key"),
    [
        (("activate", "sigmoid", "--x", "0", "--expect", "0.25"), "x"),
        (("activate", "sigmoid", "--x", "0", "--expect", "derivative=0.25"), "derivative"),
        (("activate", "sigmoid", "--x", "0", "--expect", "functions.0.value=0.5"), "functions.0.value"),
        (
            ("activate", "relu", "sigmoid", "--x", "0", "--expect", "functions.1.derivative=0.25"),
            "functions.1.derivative",
        ),
        (("loss", "mse", "--pred", "1,2", "--target", "0,0", "--expect", "gradient=1,2"), "gradient"),
        (("loss", "mse", "--pred", "1,2", "--target", "0,0", "--expect", "pred=1,2"), "pred"),
        (("loss", "mse", "--pred", "1,2", "--target", "0,0", "--expect", "elements.1=4"), "elements.1"),
        (("loss", "mse", "--pred", "1,2", "--target", "0,0", "--expect", "value=2.5"), "value"),
        (("jacobian", "x**2", "x=1,2", "--expect", "2,0;0,4"), "x"),
        (("hessian", "x*y", "x=1", "y=2", "--expect", "hessian.x.y=1"), "hessian.x.y"),
        (("hessian", "x*y", "x=1", "y=2", "--expect", "eigenvalues=-1,1"), "eigenvalues"),
        (("softmax-jacobian", "0,0", "--expect", "0.25,-0.25;-0.25,0.25"), "x"),
        (("softmax-jacobian", "0,0", "--row", "1", "--expect", "-0.25,0.25"), "x"),
        (("softmax-jacobian", "0,0", "--expect", "label=0"), "label"),
        (("perceptron", "--x", "0,0", "--w", "1,1", "--target", "1", "--expect", "b=-0.125"), "b"),
        (("perceptron", "--x", "0,0", "--w", "1,1", "--target", "1", "--expect", "output=0.5"), "output"),
        (("perceptron", "--train", "and", "--activation", "step", "--expect", "converged=True"), "converged"),
        (("grad", "x*w", "x=1,2", "w=3,4", "--row", "1", "--expect", "w.1=2"), "w.1"),
        (("grad", "h = x**2; 3*h", "x=2", "--expect", "intermediates.h.gradient=3"), "intermediates.h.gradient"),
    ],
)
def test_what_can_be_named(words: tuple[str, ...], key: str) -> None:
    found = expected(*words)
    assert list(found) == [key]
    assert found[key]["ok"] is True


@pytest.mark.parametrize(
    ("given", "tol", "ok"),
    [
        ("2.0019", None, True),
        ("2.003", None, False),
        ("2.01", "0.01", True),
        ("2.0000009", "0", True),
        ("2.000002", "0", False),
    ],
)
def test_the_tolerance_is_relative_to_what_is_expected(given: str, tol: str | None, ok: bool) -> None:
    words = [*MSE, "--dtype", "float64", "--expect", f"w={given}", *(["--tol", tol] if tol else [])]
    assert expected(*words)["w"]["ok"] is ok


def test_zero_nan_and_infinity_can_be_expected() -> None:
    assert expected("grad", "0*x", "x=1", "--expect", "0")["x"]["ok"]
    assert expected("grad", "x*nan", "x=1", "--expect", "nan")["x"]["ok"]
    assert expected("grad", "log(x)", "x=0", "--expect", "inf", "--expect", "value=-inf")["value"]["ok"]
    assert slip("grad", "log(x)", "x=0", "--expect", "-inf") is None
    assert slip("grad", "x*nan", "x=1", "--expect", "1") is None


def test_one_number_may_stand_for_a_tensor_of_one() -> None:
    assert expected("grad", "mse(w*x, y)", "x=1", "w=1,", "y=0", "--wrt", "w", "--expect", "2")["w"]["ok"]
    assert expected("grad", "x**2", "x=1", "--expect", "2,")["x"] == {
        "expected": 2.0, "computed": 2.0, "ok": True, "slip": None,
    }  # fmt: skip


def test_the_table_has_a_row_per_element() -> None:
    ran = run("grad", "(x**2).sum()", "x=1,2", "--expect", "2,5")
    assert ran.status == 1
    lines = [[cell.strip() for cell in line.strip("│").split("│")] for line in ran.stdout.splitlines() if "│" in line]
    assert lines[-2:] == [["x[0]", "2", "2", "0", "ok"], ["x[1]", "5", "4", "-1", "off"]]
    assert "x is not as expected" in ran.stdout


@pytest.mark.parametrize("form", [["--json"], ["--get", "expect.w.ok"], ["--quiet"]])
@pytest.mark.parametrize(("given", "status"), [("2", 0), ("3", 1)])
def test_the_exit_status_in_every_form(form: list[str], given: str, status: int) -> None:
    assert run(*MSE, "--expect", f"w={given}", *form).status == status


def test_the_exit_status_with_a_file(tmp_path: Any) -> None:
    path = tmp_path / "result.npz"
    assert run(*MSE, "--expect", "w=3", "--out", str(path)).status == 1
    arrays = np.load(path)
    assert (float(arrays["expect.w.expected"]), float(arrays["expect.w.computed"])) == (3, 2)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("x*y", "x=1", "y=2", "--expect", "1"), "which gradient is meant, of x, y?"),
        (("x*weight", "x=1", "weight=2", "--expect", "wieght=1"), "did you mean weight"),
        (("x*w", "x=1", "w=2", "--expect", "gradients.v=1"), "did you mean gradients."),
        (("x*w", "x=1", "w=2", "--expect", "x=1", "--expect", "x=2"), "x is expected twice"),
        (("x*w", "x=1", "w=2", "--expect", "gradients=1"), "more than one value"),
        (("x*w", "x=1", "w=2", "--expect", "command=1"), "no number"),
        (("x*1", "x=1", "w=2", "--expect", "w=0"), "w is null"),
        (("x*w", "x=1", "w=2", "--expect", " "), "nothing is expected"),
        (("x*w", "x=1", "w=2", "--expect", "x="), "nothing is expected"),
        (("x*w", "x=1", "w=2", "--expect", "x=-"), "standard input is for the inputs"),
        (("x.sum()", "x=1,2;3,4", "--expect", "1,1"), "x has shape [2, 2], and what you expect has [2]"),
        (("x.sum()", "x=1,2", "--expect", "1"), "x has shape [2], and what you expect has []"),
        (("x**2", "x=1,2", "--each", "x", "--expect", "2"), "no single gradient"),
    ],
)
def test_what_cannot_be_expected(words: tuple[str, ...], said: str) -> None:
    ran = run("grad", *words)
    assert (ran.status, ran.stdout) == (2, "")
    assert said in ran.stderr


def test_a_bad_literal_has_its_caret_and_is_told_before_pytorch_loads() -> None:
    ran = run("grad", "x", "x=1", "--expect", "x=1,,2")
    assert ran.status == 2
    assert ran.stderr.splitlines()[:3] == [
        "error: --expect x: a number is missing before this comma",
        "  1,,2",
        "    ^",
    ]


# --- slips ----------------------------------------------------------------------------------------------------------


def test_the_slips_and_their_order_are_the_contracts() -> None:
    assert [each.name for each in SLIPS] == [
        "sign", "factor-2", "factor-half", "mean-for-sum", "sum-for-mean", "transposed", "activation-derivative",
        "log-base", "double-softmax",
    ]  # fmt: skip


@pytest.mark.parametrize(("given", "name"), [("-2", "sign"), ("4", "factor-2"), ("1", "factor-half"), ("7", None)])
def test_factors(given: str, name: str | None) -> None:
    assert slip(*MSE, "--wrt", "w", "--expect", given) == name


@pytest.mark.parametrize("given", ["-2,-4.1", "4,8.1", "1,2.1", "0,0", "-2,4"])
def test_a_factor_must_fit_every_element(given: str) -> None:
    assert slip("grad", "(x**2).sum()", "x=1,2", "--expect", given) is None


def test_zeros_have_no_slip() -> None:
    assert slip("grad", "(0*x).sum()", "x=1,2", "--expect", "1,1") is None
    assert slip("grad", "relu(x)", "x=-1", "--expect", "1") is not None  # the slope was left out
    assert slip("grad", "x**2", "x=3", "--expect", "0") is None


def test_the_slip_is_said_in_words() -> None:
    ran = run(*MSE, "--expect", "w=4")
    assert "factor-2: yours is twice the computed one" in ran.stdout


X, Y = torch.tensor([1.0, 2.0, 4.0]), torch.tensor([0.5, 1.0, -1.0])
W = torch.tensor(1.5)
GIVEN = ("x=1,2,4", "y=0.5,1,-1", "w=1.5", "--wrt", "w")


def by_w(reduction: str) -> Tensor:
    w = W.clone().requires_grad_()
    return slope(F.mse_loss(w * X, Y, reduction=reduction), w)


MEANS = [
    "mse(w*x, y)",
    "F.mse_loss(w*x, y)",
    "((w*x - y)**2).mean()",
    "torch.mean((w*x - y)**2)",
    "nn.MSELoss()(w*x, y)",
]
SUMS = [
    "mse(w*x, y, reduction='sum')", "sse(w*x, y)", "((w*x - y)**2).sum()", "sum((w*x - y)**2)",
    "nn.MSELoss(reduction='sum')(w*x, y)",
]  # fmt: skip


@pytest.mark.parametrize("expression", SUMS)
def test_the_mean_where_the_sum_is_right(expression: str) -> None:
    assert slip("grad", expression, *GIVEN, "--expect", text(by_w("mean"))) == "mean-for-sum"
    assert slip("grad", expression, *GIVEN, "--expect", text(by_w("mean") * 1.001)) is None


@pytest.mark.parametrize("expression", MEANS)
def test_the_sum_where_the_mean_is_right(expression: str) -> None:
    assert slip("grad", expression, *GIVEN, "--expect", text(by_w("sum"))) == "sum-for-mean"
    assert slip("grad", expression, *GIVEN, "--expect", text(by_w("sum") * 0.999)) is None


def test_a_third_is_no_mean_where_nothing_is_summed() -> None:
    assert slip("grad", "x**3 + 1", "x=2", "--expect", "36") is None
    assert slip("grad", "x**3 + 1", "x=2", "--expect", "4") is None


def test_reductions_of_the_loss_command_and_of_its_value() -> None:
    words = ("loss", "mse", "--pred", "1,2,4", "--target", "0.5,1,-1")
    assert slip(*words, "--expect", "value=26.25") == "sum-for-mean"
    assert slip(*words, "--expect", "gradient=1,2,10") == "sum-for-mean"
    assert slip(*words, "--reduction", "sum", "--expect", "value=8.75") == "mean-for-sum"
    assert slip("loss", "half_sse", *words[2:], "--expect", "value=4.375") == "mean-for-sum"


def test_with_two_elements_the_factor_comes_first() -> None:
    assert slip("grad", "mse(x, y)", "x=1,2", "y=0,0", "--wrt", "x", "--expect", "2,4") == "factor-2"


def test_a_transposed_matrix() -> None:
    # dL/dW = g x^T with g = [1, 1] and x = [1, 2, 3]; its transpose has the other shape
    words = ("grad", "(W @ x).sum()", "W=1,0,0;0,1,0", "x=1,2,3", "--wrt", "W")
    assert slip(*words, "--expect", "1,1;2,2;3,3") == "transposed"
    assert slip(*words, "--expect", "1,1;2,2;3,4") is None
    assert "expected shape [3, 2], computed shape [2, 3]" in run(*words, "--expect", "1,1;2,2;3,3").stdout
    assert slip("jacobian", "W @ x", "W=1,2;3,5", "x=1,2", "--wrt", "x", "--expect", "1,3;2,5") == "transposed"
    assert slip("jacobian", "W @ x", "W=1,2;2,5", "x=1,2", "--wrt", "x", "--expect", "1,3;2,5") is None


@pytest.mark.parametrize("expression", ["sigmoid(w*x)", "(w*x).sigmoid()", "torch.sigmoid(w*x)", "nn.Sigmoid()(w*x)"])
def test_the_activations_slope_left_out(expression: str) -> None:
    w = W.clone().requires_grad_()
    with torch.no_grad():
        upstream = 2 * (torch.sigmoid(w * X) - Y) / 3
    forgotten = (upstream * X).sum()
    words = ("grad", f"mse({expression}, y)", *GIVEN)
    assert slip(*words, "--expect", text(forgotten)) == "activation-derivative"
    assert slip(*words, "--expect", text(forgotten * 1.01)) is None


def test_the_perceptrons_slope_left_out() -> None:
    words = ("perceptron", "--x", "1,0.5", "--w", "0.3,-0.2", "--target", "1")
    out = 1 / (1 + math.exp(-0.2))
    assert slip(*words, "--expect", f"w={out - 1},{(out - 1) / 2}") == "activation-derivative"
    assert slip(*words, "--expect", f"w={out - 1},{(out - 1) / 3}") is None
    assert (
        slip("grad", "--fn", "tanh", "--x", "3", "--w", "0.5", "--wrt", "w", "--expect", "3") == "activation-derivative"
    )


def test_an_activation_alone_has_no_forgotten_slope() -> None:
    assert slip("activate", "tanh", "--x", "0.5,1", "--expect", "1,1") is None


@pytest.mark.parametrize("factor", [1 / math.log(2), 1 / math.log(10), math.log(2), math.log(10)])
def test_another_base_of_the_logarithm(factor: float) -> None:
    assert (
        slip("grad", "log(x).sum() + y", "x=2,5", "y=1", "--wrt", "x", "--expect", f"{factor / 2},{factor / 5}")
        == "log-base"
    )
    assert slip("grad", "sqrt(x)", "x=4", "--expect", str(factor / 4)) is None
    assert slip("grad", "log(x)", "x=2", "--expect", str(factor / 2 * 1.001)) is None


def test_another_base_in_a_part_of_the_expression() -> None:
    right = 1 / 2 + 4
    assert slip("grad", "log(x) + x**2", "x=2", "--expect", str(1 / (2 * math.log(2)) + 4)) == "log-base"
    assert slip("grad", "log(x) + x**2", "x=2", "--expect", str(right / math.log(2))) is None
    assert slip("grad", "log2(x)", "x=2", "--expect", "0.5") == "log-base"
    logits = torch.tensor([2.0, 1.0, 0.1])
    bits = F.cross_entropy(logits, torch.tensor(0)) / math.log(2)
    assert slip("loss", "ce", "--pred", "2,1,0.1", "--target", "0", "--expect", f"value={float(bits)}") == "log-base"


@pytest.mark.parametrize(
    "expression",
    ["cross_entropy(a, t)", "nn.CrossEntropyLoss()(a, t)", "-log_softmax(a, -1)[t]", "nll(log_softmax(a, -1), t)"],
)
def test_softmax_twice(expression: str) -> None:
    a = torch.tensor([2.0, 1.0, 0.1], requires_grad=True)
    twice = slope(F.cross_entropy(torch.softmax(a, 0), torch.tensor(0)), a)
    words = ("grad", expression, "a=2,1,0.1", "t=tensor(0)", "--wrt", "a")
    assert slip(*words, "--expect", text(twice)) == "double-softmax"
    assert slip(*words, "--expect", text(twice + torch.tensor([0.0, 0.0, 0.01]))) is None


def test_softmax_twice_goes_along_the_classes() -> None:
    pred = torch.tensor([[2.0, 1.0, 0.1], [0.0, 3.0, 1.0]], requires_grad=True)
    twice = slope(F.cross_entropy(torch.softmax(pred, 1), torch.tensor([0, 2])), pred)
    words = ("loss", "ce", "--pred", "2,1,0.1;0,3,1", "--target", "0,2")
    assert slip(*words, "--expect", f"gradient={text(twice)}") == "double-softmax"
    assert slip(*words, "--expect", f"gradient={text(-twice)}") is None


def test_probabilities_of_probabilities() -> None:
    a = torch.tensor([2.0, 1.0, 0.1], dtype=torch.float64, requires_grad=True)
    twice = torch.softmax(torch.softmax(a, 0), 0)
    assert (
        slip("softmax-jacobian", "2,1,0.1", "--expect", f"jacobian.0.1={float((-twice[0] * twice[1]).detach())}")
        is None
    )
    jacobian = torch.stack([slope(twice[i], a) for i in range(3)])
    assert slip("softmax-jacobian", "2,1,0.1", "--expect", text(jacobian)) == "double-softmax"


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_slips_are_exact_in_small_dtypes(dtype: str) -> None:
    assert slip("grad", "(x**3).sum()", "x=1.5,2.5", "--dtype", dtype, "--expect", "-6.75,-18.75") == "sign"


def test_deep_expressions_have_no_slip_and_no_fault() -> None:
    ran = run("grad", " + ".join(["log(x)"] * 1500), "x=2", "--expect", "1")
    assert ran.status == 1
