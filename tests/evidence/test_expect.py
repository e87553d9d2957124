"""`--expect`: names, tolerance, shapes and exit status, and every slip with answers that it names
and that it must not.

The slips are made here by hand or by plain PyTorch, never by gradcli's own rewriting.
"""

import math
import random
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from gradcli.catalogue.slips import SLIPS
from gradcli.commands.dispatch import compute
from gradcli.commands.grad.request import Grad
from gradcli.options.check import check
from gradcli.options.fill import from_words
from tests.choice import rare
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


# --- names, tolerance, shapes -------------------------------------------------------------------

MSE = ("grad", "--fn", "mse", "--x", "1", "--w", "2")


def test_the_lectures_gradient_as_expected() -> None:
    assert expected(
        *MSE, "--expect", "w=2", "--expect", "value=1", "--expect", "gradients.x=4"
    ) == {
        "w": {"expected": 2.0, "computed": 2.0, "ok": True, "slip": None},
        "value": {"expected": 1.0, "computed": 1.0, "ok": True, "slip": None},
        "gradients.x": {"expected": 4.0, "computed": 4.0, "ok": True, "slip": None},
    }


def test_a_bare_number_is_the_only_gradient() -> None:
    assert expected("grad", "x**3", "x=2", "--expect", "12").keys() == {"x"}
    assert expected("grad", "x**3 + 0*w", "x=2", "w=1", "--wrt", "x", "--expect", "12").keys() == {
        "x"
    }
    assert expected("grad", "x**3", "x=2", "w=1", "--expect", "12").keys() == {"x"}, (
        "the gradient for w is null"
    )


@pytest.mark.parametrize(
    ("words", "key"),
    [
        (("activate", "sigmoid", "--x", "0", "--expect", "0.25"), "x"),
        (("activate", "sigmoid", "--x", "0", "--expect", "derivative=0.25"), "derivative"),
        (
            ("activate", "sigmoid", "--x", "0", "--expect", "functions.0.value=0.5"),
            "functions.0.value",
        ),
        (
            ("activate", "relu", "sigmoid", "--x", "0", "--expect", "functions.1.derivative=0.25"),
            "functions.1.derivative",
        ),
        (
            ("loss", "mse", "--pred", "1,2", "--target", "0,0", "--expect", "gradient=1,2"),
            "gradient",
        ),
        (("loss", "mse", "--pred", "1,2", "--target", "0,0", "--expect", "pred=1,2"), "pred"),
        (
            ("loss", "mse", "--pred", "1,2", "--target", "0,0", "--expect", "elements.1=4"),
            "elements.1",
        ),
        (("loss", "mse", "--pred", "1,2", "--target", "0,0", "--expect", "value=2.5"), "value"),
        (("jacobian", "x**2", "x=1,2", "--expect", "2,0;0,4"), "x"),
        (("hessian", "x*y", "x=1", "y=2", "--expect", "hessian.x.y=1"), "hessian.x.y"),
        (("hessian", "x*y", "x=1", "y=2", "--expect", "eigenvalues=-1,1"), "eigenvalues"),
        (("softmax-jacobian", "0,0", "--expect", "0.25,-0.25;-0.25,0.25"), "x"),
        (("softmax-jacobian", "0,0", "--row", "1", "--expect", "-0.25,0.25"), "x"),
        (("softmax-jacobian", "0,0", "--expect", "label=0"), "label"),
        (("perceptron", "--x", "0,0", "--w", "1,1", "--target", "1", "--expect", "b=-0.125"), "b"),
        (
            ("perceptron", "--x", "0,0", "--w", "1,1", "--target", "1", "--expect", "output=0.5"),
            "output",
        ),
        (
            ("perceptron", "--train", "and", "--activation", "step", "--expect", "converged=True"),
            "converged",
        ),
        (("grad", "x*w", "x=1,2", "w=3,4", "--row", "1", "--expect", "w.1=2"), "w.1"),
        (
            ("grad", "h = x**2; 3*h", "x=2", "--expect", "intermediates.h.gradient=3"),
            "intermediates.h.gradient",
        ),
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
def test_the_tolerance_is_relative_to_what_is_expected(
    given: str, tol: str | None, ok: bool
) -> None:
    words = [*MSE, "--dtype", "float64", "--expect", f"w={given}", *(["--tol", tol] if tol else [])]
    assert expected(*words)["w"]["ok"] is ok


def test_zero_nan_and_infinity_can_be_expected() -> None:
    assert expected("grad", "0*x", "x=1", "--expect", "0")["x"]["ok"]
    assert expected("grad", "x*nan", "x=1", "--expect", "nan")["x"]["ok"]
    assert expected("grad", "log(x)", "x=0", "--expect", "inf", "--expect", "value=-inf")["value"][
        "ok"
    ]
    assert slip("grad", "log(x)", "x=0", "--expect", "-inf") is None
    assert slip("grad", "x*nan", "x=1", "--expect", "1") is None


def test_one_number_may_stand_for_a_tensor_of_one() -> None:
    assert expected("grad", "mse(w*x, y)", "x=1", "w=1,", "y=0", "--wrt", "w", "--expect", "2")[
        "w"
    ]["ok"]
    assert expected("grad", "x**2", "x=1", "--expect", "2,")["x"] == {
        "expected": 2.0, "computed": 2.0, "ok": True, "slip": None,
    }  # fmt: skip


def test_the_table_has_a_row_per_element() -> None:
    ran = run("grad", "(x**2).sum()", "x=1,2", "--expect", "2,5")
    assert ran.status == 1
    lines = [
        [cell.strip() for cell in line.strip("│").split("│")]
        for line in ran.stdout.splitlines()
        if "│" in line
    ]
    assert lines[-2:] == [["x[0]", "2", "2", "0", "ok"], ["x[1]", "5", "4", "-1", "off"]]
    assert "Not as expected: x" in ran.stdout


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
        (("x*y", "x=1", "y=2", "--expect", "1"), "the result has several gradients: x, y"),
        (("x*weight", "x=1", "weight=2", "--expect", "wieght=1"), "did you mean weight"),
        (("x*w", "x=1", "w=2", "--expect", "gradients.v=1"), "did you mean gradients."),
        (("x*w", "x=1", "w=2", "--expect", "x=1", "--expect", "x=2"), "x is given twice"),
        (("x*w", "x=1", "w=2", "--expect", "gradients=1"), "more than one value"),
        (("x*w", "x=1", "w=2", "--expect", "command=1"), "not a number"),
        (("x*1", "x=1", "w=2", "--expect", "w=0"), "w is null"),
        (("x*w", "x=1", "w=2", "--expect", " "), "the expected value is missing"),
        (("x*w", "x=1", "w=2", "--expect", "x="), "the expected value is missing"),
        (("x*w", "x=1", "w=2", "--expect", "x=-"), "cannot read standard input"),
        (
            ("x.sum()", "x=1,2;3,4", "--expect", "1,1"),
            "x has shape [2, 2], but the expected value has [2]",
        ),
        (("x.sum()", "x=1,2", "--expect", "1"), "x has shape [2], but the expected value has []"),
        (("x**2", "x=1,2", "--each", "x", "--expect", "2"), "no single gradient"),
    ],
)
def test_what_cannot_be_expected(words: tuple[str, ...], said: str) -> None:
    ran = run("grad", *words)
    assert (ran.status, ran.stdout) == (2, "")
    assert said in ran.stderr


@pytest.mark.parametrize(
    ("words", "near"),
    [
        (("hessian", "(w*x)**2", "w=1", "x=2", "--expect", "w.w = 2*x**2"), "hessian.w.w"),
        (("hessian", "(w*x)**2", "w=1", "x=2", "--expect", "gradients.w.x=8"), "hessian.w.x"),
        (("hessian", "(w*x)**2", "w=1", "x=2", "--get", "w.x"), "hessian.w.x"),
        (("grad", "h = x**2; 2*h", "x=1", "--get", "h.gradient"), "intermediates.h.gradient"),
    ],
)
def test_a_path_without_its_first_key_is_the_nearest(words: tuple[str, ...], near: str) -> None:
    ran = run(*words)
    assert (ran.status, ran.stdout) == (2, "")
    assert f"did you mean {near}?" in ran.stderr


def test_a_bad_literal_has_its_caret_and_is_told_before_pytorch_loads() -> None:
    ran = run("grad", "x", "x=1", "--expect", "x=1,,2")
    assert ran.status == 2
    assert ran.stderr.splitlines()[:3] == [
        "error: --expect x: a number is missing before this comma",
        "  1,,2",
        "    ^",
    ]


# --- slips --------------------------------------------------------------------------------------


def test_the_slips_and_their_order_are_the_contracts() -> None:
    assert [each.name for each in SLIPS] == [
        "sign", "factor-2", "factor-half", "mean-for-sum", "sum-for-mean", "transposed", "activation-derivative",
        "log-base", "double-softmax",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("given", "name"), [("-2", "sign"), ("4", "factor-2"), ("1", "factor-half"), ("7", None)]
)
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
    assert (
        slip("grad", "mse(x, y)", "x=1,2", "y=0,0", "--wrt", "x", "--expect", "2,4") == "factor-2"
    )


def test_a_transposed_matrix() -> None:
    # dL/dW = g x^T with g = [1, 1] and x = [1, 2, 3]; its transpose has the other shape
    words = ("grad", "(W @ x).sum()", "W=1,0,0;0,1,0", "x=1,2,3", "--wrt", "W")
    assert slip(*words, "--expect", "1,1;2,2;3,3") == "transposed"
    assert slip(*words, "--expect", "1,1;2,2;3,4") is None
    assert (
        "expected shape [3, 2], computed shape [2, 3]"
        in run(*words, "--expect", "1,1;2,2;3,3").stdout
    )
    assert (
        slip("jacobian", "W @ x", "W=1,2;3,5", "x=1,2", "--wrt", "x", "--expect", "1,3;2,5")
        == "transposed"
    )
    assert (
        slip("jacobian", "W @ x", "W=1,2;2,5", "x=1,2", "--wrt", "x", "--expect", "1,3;2,5") is None
    )


@pytest.mark.parametrize(
    "expression", ["sigmoid(w*x)", "(w*x).sigmoid()", "torch.sigmoid(w*x)", "nn.Sigmoid()(w*x)"]
)
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
        slip("grad", "--fn", "tanh", "--x", "3", "--w", "0.5", "--wrt", "w", "--expect", "3")
        == "activation-derivative"
    )


def test_an_activation_alone_has_no_forgotten_slope() -> None:
    assert slip("activate", "tanh", "--x", "0.5,1", "--expect", "1,1") is None


@pytest.mark.parametrize("factor", [1 / math.log(2), 1 / math.log(10), math.log(2), math.log(10)])
def test_another_base_of_the_logarithm(factor: float) -> None:
    assert (
        slip(
            "grad",
            "log(x).sum() + y",
            "x=2,5",
            "y=1",
            "--wrt",
            "x",
            "--expect",
            f"{factor / 2},{factor / 5}",
        )
        == "log-base"
    )
    assert slip("grad", "sqrt(x)", "x=4", "--expect", str(factor / 4)) is None
    assert slip("grad", "log(x)", "x=2", "--expect", str(factor / 2 * 1.001)) is None


def test_another_base_in_a_part_of_the_expression() -> None:
    right = 1 / 2 + 4
    assert (
        slip("grad", "log(x) + x**2", "x=2", "--expect", str(1 / (2 * math.log(2)) + 4))
        == "log-base"
    )
    assert slip("grad", "log(x) + x**2", "x=2", "--expect", str(right / math.log(2))) is None
    assert slip("grad", "log2(x)", "x=2", "--expect", "0.5") == "log-base"
    logits = torch.tensor([2.0, 1.0, 0.1])
    bits = F.cross_entropy(logits, torch.tensor(0)) / math.log(2)
    assert (
        slip("loss", "ce", "--pred", "2,1,0.1", "--target", "0", "--expect", f"value={float(bits)}")
        == "log-base"
    )


@pytest.mark.parametrize(
    "expression",
    [
        "cross_entropy(a, t)",
        "nn.CrossEntropyLoss()(a, t)",
        "-log_softmax(a, -1)[t]",
        "nll(log_softmax(a, -1), t)",
    ],
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
        slip(
            "softmax-jacobian",
            "2,1,0.1",
            "--expect",
            f"jacobian.0.1={float((-twice[0] * twice[1]).detach())}",
        )
        is None
    )
    jacobian = torch.stack([slope(twice[i], a) for i in range(3)])
    assert slip("softmax-jacobian", "2,1,0.1", "--expect", text(jacobian)) == "double-softmax"


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_slips_are_exact_in_small_dtypes(dtype: str) -> None:
    assert (
        slip("grad", "(x**3).sum()", "x=1.5,2.5", "--dtype", dtype, "--expect", "-6.75,-18.75")
        == "sign"
    )


def judged(
    expression: str, given: str, *inputs: str, dtype: str = "float64"
) -> tuple[bool, str | None, str]:
    """Whether an answer holds, the slip, and what is said of it; computed in this process."""
    request = from_words(
        Grad, [expression, *inputs], {"expect": [given], "dtype": dtype, "wrt": "x"}
    )
    result = compute(check(request, lambda: ""), lambda step, operands: None)
    (found,) = result.expect.values()
    return found.ok, found.slip, found.advice


PARTS = [
    "log(x)",
    "x**2",
    "sigmoid(x)",
    "3*x",
    "exp(-x)",
    "x*y",
    "log2(x + 3)",
    "tanh(x)*x",
    "(x - y)**2/2",
    "softplus(x)",
]
WRONG: dict[str, Callable[[Tensor], Tensor]] = {
    "sign": lambda right: -right, "factor-2": lambda right: 2*right, "factor-half": lambda right: right/2,
    "nothing": lambda right: right, "off": lambda right: right*1.37 + 0.011, "swapped": lambda right: right.flip(0),
    "times-n": lambda right: right*len(right), "over-n": lambda right: right/len(right),
}  # fmt: skip


@pytest.mark.parametrize("count", [55, rare(80)])
def test_a_slip_that_is_named_describes_the_users_number(count: int) -> None:
    """Random expressions, answers right and wrong, in many digits and in few: to 1e-4, or as far as
    they were written.
    """
    named = set()
    for number in range(count):
        chance = random.Random(number)
        expression = (
            f"({chance.choice(PARTS)} + {chance.choice(PARTS)}).{chance.choice(['sum', 'mean'])}()"
        )
        x = torch.tensor(
            [chance.uniform(0.3, 2) for _ in range(chance.choice([1, 3]))], dtype=torch.float64
        )
        leaf, y = x.clone().requires_grad_(), torch.tensor(0.7, dtype=torch.float64)
        scope = {**vars(torch), "softplus": F.softplus, "x": leaf, "y": y}
        right = slope(eval(expression, {}, scope), leaf)
        kind, digits = chance.choice(list(WRONG)), chance.choice([2, 3, 4, 12])
        words = [f"{value:.{digits}g}" for value in WRONG[kind](right).tolist()]
        given = torch.tensor([float(word) for word in words], dtype=torch.float64)
        ok, found, said = judged(expression, f"[{','.join(words)}]", f"x={x.tolist()}", "y=0.7")
        half = torch.tensor(
            [0.5 * 10.0 ** int(Decimal(word).as_tuple().exponent) for word in words],
            dtype=torch.float64,
        )
        limit = torch.maximum(half, 1e-4 * given.abs()) * 1.001 + 1e-9
        assert ok == bool(((right - given).abs() <= 1e-3 * given.abs() + 1e-6).all())
        if found in ("sign", "factor-2", "factor-half"):
            assert bool(((WRONG[found](right) - given).abs() <= limit * 2).all()), (
                expression,
                words,
                right,
                found,
            )
        elif found in ("mean-for-sum", "sum-for-mean"):
            ratio = len(x) if found == "sum-for-mean" else 1 / len(x)
            assert bool(((ratio * right - given).abs() <= limit * 2).all()), (
                expression,
                words,
                right,
                found,
            )
        elif found == "activation-derivative":
            assert any(name in expression for name in ("sigmoid", "tanh", "softplus"))
        elif found == "log-base":
            assert "log" in expression
        if kind in ("sign", "factor-2", "factor-half") and digits > 2:
            assert found == kind, (expression, words, right, found)
        if not ok and "right to the digits" in said:
            assert found is None
            assert bool(((right - given).abs() <= half * 1.001).all())
            tol = float(said.split("--tol ")[1].split()[0])
            assert bool(((right - given).abs() <= tol * given.abs() + 1e-6).all())
            assert not bool(((right - given).abs() <= 1e-3 * given.abs() + 1e-6).all())
        if kind == "off" and found is None and not ok:
            assert "right to the digits" in said or "--explain" in said
        named.add(found)
    assert named >= {"sign", "factor-2", "factor-half", "mean-for-sum", "sum-for-mean", None}


@pytest.mark.parametrize(
    ("given", "found", "said"),
    [
        ("-0.538", None, "no known slip gives your value: --explain shows each step"),
        ("-0.540", "sign", "(to the digits given)"),
        ("-0.54", "sign", "(to the digits given)"),
        ("-5.4e-1", "sign", ""),
        ("-0.5403", "sign", ""),
        ("-0.541", None, ""),  # the cosine of 1 is 0.5403
        ("1.08", "factor-2", ""),
        ("1.1", "factor-2", "(to the digits given)"),
        ("0.27", "factor-half", ""),
        ("0.5", None, "yours is right to the digits given; --tol 0.09 accepts it"),
        ("0.6", None, "no known slip"),
        ("-1/2", None, ""),  # which is exact
        ("0", None, "no known slip"),
        ("-0.00", None, "no known slip"),
    ],
)
def test_the_digits_given_decide(given: str, found: str | None, said: str) -> None:
    ran = judged("sin(x)", given, "x=1")
    assert ran[:2] == (False, found)
    assert said in ran[2]


@pytest.mark.parametrize(
    ("given", "found"),
    [("0.34,-0.24,-0.10", "sign"), ("0.34,-0.24,-0.1", "sign"), ("0.34,-0.24,-0.2", None), ("0.3,-0.2,-0.1", None)],
)  # fmt: skip
def test_a_last_zero_may_be_left_out(given: str, found: str | None) -> None:
    """The gradient is -0.34, 0.2424, 0.0986."""
    assert judged("cross_entropy(x, t)", given, "x=2,1,0.1", "t=0")[1] == found


@pytest.mark.parametrize(
    ("expression", "given", "inputs"),
    [
        ("x - log(x)", "1", ["x=1"]),
        ("x + log(sum(exp(y - x)))", "1", ["x=3", "y=1,2,3,-4"]),
        ("0.3*x", "1", ["x=2"]),
        ("exp(x) - x", "1", ["x=1"]),
    ],
)
def test_no_slip_fits_by_the_slack_of_one_digit_alone(
    expression: str, given: str, inputs: list[str]
) -> None:
    assert judged(expression, given, *inputs)[:2] == (False, None)


def test_an_exact_slip_comes_before_one_to_the_digits_given() -> None:
    """A third is 3 times too small, and 2 times, rounded to a whole number, as well."""
    assert judged("x.mean()", "1,1,1", "x=1,2,3")[1] == "sum-for-mean"
    assert judged("x.mean()", "[0.7,0.7,0.7]", "x=1,2,3")[1] == "factor-2"


REASONS: dict[str, list[tuple[str, float, bool]]] = {
    "the 1/2 in front of the square": [
        ("half_sse(x, y)", 2, True), ("0.5*(x - y)**2", 2, True), ("(x - y).pow(2)/2", 2, True), ("1/2*(x**2)", 2, True),
        ("h = (x - y)**2; h/2", 2, True), ("mse(x, y)", 2, False), ("sin(x)", 2, False), ("x**3", 2, False),
        ("0.5*y**2*sin(x)", 2, False), ("0.5*x + y**2", 2, False),
    ],
    "the derivative of a square brings down a factor 2": [
        ("mse(x, y)", 0.5, True), ("x**2", 0.5, True), ("nn.MSELoss()(x, y)", 0.5, True), ("torch.square(x)", 0.5, True),
        ("exp(x)", 0.5, False), ("x**3", 0.5, False), ("y**2*exp(x)", 0.5, False), ("x*y", 0.5, False),
    ],
    "a difference in the wrong order": [
        ("(x - y)**2", -1, True), ("bce_with_logits(x, y)", -1, True), ("exp(x)", -1, False), ("x + (y - 1)", -1, False),
    ],
}  # fmt: skip


@pytest.mark.parametrize("reason", REASONS)
def test_a_reason_is_given_only_where_the_expression_has_it(reason: str) -> None:
    for expression, factor, has in REASONS[reason]:
        leaf, y = (
            torch.tensor(1.7, dtype=torch.float64, requires_grad=True),
            torch.tensor(0.6, dtype=torch.float64),
        )
        scope = {**vars(torch), "nn": torch.nn, "x": leaf, "y": y, "mse": F.mse_loss, "half_sse": lambda a, b: (a - b)**2/2,
                 "bce_with_logits": F.binary_cross_entropy_with_logits, "h": (leaf - y)**2}  # fmt: skip
        right = slope(eval(expression.rpartition(";")[2].strip(), {}, scope), leaf)
        _, found, said = judged(expression, repr(float(factor * right)), "x=1.7", "y=0.6")
        assert found == {2: "factor-2", 0.5: "factor-half", -1: "sign"}[factor], expression
        assert (reason in said) is has, (expression, said)


def test_what_to_try_next_is_what_the_command_has() -> None:
    for words, said in {
        ("grad", "x**3", "x=2", "--expect", "7.7"): "--explain shows each step",
        ("grad", "x**3", "x=2", "--expect", "7.7", "--explain"): "the chain rule shows each step",
        (
            "grad",
            "x**3",
            "x=1,2",
            "--each",
            "x",
            "--expect",
            "rows.0.value=7.7",
        ): "grad --explain at one of the points",
        ("perceptron", "--train", "and", "--epochs", "2", "--expect", "b=7.7"): "--check compares",
        ("activate", "tanh", "--x", "1", "--expect", "7.7"): "--explain shows each step",
        ("jacobian", "x**2", "x=linspace(0,1,30)", "--expect", "value.3=7.7"): "--check compares",
    }.items():
        assert said in run(*words).stdout, words


def test_random_numbers_that_are_drawn_again_make_no_slip() -> None:
    """Other draws than those of the result would make a number that has nothing to do with it."""
    right = run(
        "grad", "(x*torch.rand(3)*y).sum()", "y=rand(3)", "x=1,2,3", "--wrt", "x", "--json"
    ).json["gradients"]["x"]
    words = ("grad", "(x*torch.rand(3)*y).sum()", "y=rand(3)", "x=1,2,3", "--wrt", "x", "--expect")
    assert slip(*words, str([-value for value in right])) == "sign"
    assert slip(*words, str([value + 1 for value in right])) is None


@pytest.mark.parametrize(
    ("words", "short", "whole"),
    [
        (("activate", "sigmoid", "--x", "0,1"), "value", "functions.0.value"),
        (("activate", "sigmoid", "--x", "0,1"), "derivative.1", "functions.0.derivative.1"),
        (("loss", "mse", "--pred", "1,2", "--target", "0,0"), "gradient", "losses.0.gradient"),
        (("plot", "sin(x)", "x=0,1,2"), "value.2", "curves.0.value.2"),
    ],
)
def test_get_and_expect_read_the_same_paths(words: tuple[str, ...], short: str, whole: str) -> None:
    got = run(*words, "--get", short).stdout
    assert got == run(*words, "--get", whole).stdout != ""
    for path in (short, whole):
        assert expected(*words, "--expect", f"{path}={got.strip()}")[path]["ok"]


def test_npz_members_are_paths_of_get(tmp_path: Path) -> None:
    for words in (("activate", "sigmoid"), ("activate", "sigmoid", "relu")):
        assert run(*words, "--x", "0,1", "--out", "r.npz", cwd=str(tmp_path)).status == 0
        with np.load(tmp_path / "r.npz") as arrays:
            assert ("value" in arrays) == (len(words) == 2)
            for path, array in arrays.items():
                assert run(
                    *words, "--x", "0,1", "--get", path
                ).stdout == f"{str(array.tolist()).replace(' ', '')}\n" or (
                    np.allclose(array, eval(run(*words, "--x", "0,1", "--get", path).stdout))
                )
    ran = run("activate", "sigmoid", "relu", "--x", "0", "--get", "value")
    assert ran.status == 2
    assert "there is no 'value'" in ran.stderr
    assert "did you mean value?" in run("activate", "sigmoid", "--x", "0", "--get", "valeu").stderr


@pytest.mark.parametrize("terms", [100, rare(600)])
def test_deep_expressions_have_no_slip_and_no_fault(terms: int) -> None:
    ran = run("grad", " + ".join(["log(x)"] * terms), "x=2", "--expect", "1")
    assert ran.status == 1


def test_what_is_true_or_false_is_shown_as_that() -> None:
    shown = run(
        "perceptron", "--train", "xor", "--activation", "step", "--expect", "converged=True"
    )
    assert shown.status == 1
    row = next(line for line in shown.stdout.splitlines() if line.startswith("│ converged"))
    assert [cell.strip() for cell in row.strip("│").split("│")] == [
        "converged",
        "True",
        "False",
        "",
        "off",
    ]
