"""`activate`: values and derivatives of activations side by side, against closed forms and plain
PyTorch.
"""

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from tests.program import run

POINTS = [-3.0, -0.5, 0.25, 2.0]
X = ",".join(map(str, POINTS))


def logistic(x: float) -> float:
    return 1 / (1 + math.exp(-x))


CLOSED_FORMS: dict[str, tuple[Callable[[float], float], Callable[[float], float]]] = {
    "sigmoid": (logistic, lambda x: logistic(x) * (1 - logistic(x))),
    "tanh": (math.tanh, lambda x: 1 - math.tanh(x) ** 2),
    "relu": (lambda x: max(x, 0.0), lambda x: float(x > 0)),
    "leaky_relu(0.2)": (lambda x: x if x > 0 else 0.2 * x, lambda x: 1.0 if x > 0 else 0.2),
    "elu(alpha=2)": (
        lambda x: x if x > 0 else 2 * math.expm1(x),
        lambda x: 1.0 if x > 0 else 2 * math.exp(x),
    ),
    "softplus": (lambda x: math.log1p(math.exp(x)), logistic),
    "silu": (lambda x: x * logistic(x), lambda x: logistic(x) * (1 + x * (1 - logistic(x)))),
    "softsign": (lambda x: x / (1 + abs(x)), lambda x: 1 / (1 + abs(x)) ** 2),
}


@pytest.mark.parametrize("name", CLOSED_FORMS)
def test_value_and_derivative_are_those_of_the_closed_form(name: str) -> None:
    value, slope = CLOSED_FORMS[name]
    found = run("activate", name, "--x", X, "--dtype", "float64", "--json").json["functions"][0]
    assert found["name"] == name
    assert found["value"] == pytest.approx([value(x) for x in POINTS], rel=1e-12)
    assert found["derivative"] == pytest.approx([slope(x) for x in POINTS], rel=1e-12)


def test_several_stand_in_the_order_given_each_under_its_own_words() -> None:
    names = ["tanh", "sigmoid", "leaky_relu(0.2)"]
    result = run("activate", *names, "--x", "1", "--json").json
    assert [function["name"] for function in result["functions"]] == names


def test_an_alias_and_the_name_behind_a_prefix_are_the_same_function() -> None:
    names = ("silu", "swish", "F.silu", "nn.functional.silu", "torch.nn.functional.silu")
    plain, alias, *prefixed = run("activate", *names, "--x", X, "--json").json["functions"]
    assert {**alias, "name": "silu"} == plain
    assert prefixed == [plain] * 3
    told = run("activate", "torch.silu", "--x", "1")  # which PyTorch does not have
    assert (told.status, told.stdout) == (2, "")
    assert "unknown activation 'torch.silu'" in told.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("loss", "{}mse_loss", "--pred", "1,2", "--target", "0,0"),
        ("loss", "{}cross_entropy(label_smoothing=0.1)", "pred=1,2", "target=0"),
        ("grad", "--fn", "{}mse_loss", "--x", "1", "--w", "2"),
        ("functions", "{}relu"),
        ("plot", "{}leaky_relu(0.2)"),
        ("flow", "--activation", "{}relu", "--layers", "3"),
        ("perceptron", "x=1,2", "w=1,1", "target=1", "--activation", "{}relu"),
    ],
)
def test_the_prefix_of_an_expression_may_stand_before_a_name(words: tuple[str, ...]) -> None:
    plain, prefixed = (
        run(*(word.format(prefix) for word in words), "--json") for prefix in ("", "F.")
    )
    assert prefixed == plain
    assert plain.status == 0


@pytest.mark.parametrize(
    ("x", "shape"), [("2", ()), ("2,", (1,)), ("1;2", (2, 1)), ("zeros(2,3,2)", (2, 3, 2))]
)
def test_value_and_derivative_have_the_shape_of_x(x: str, shape: tuple[int, ...]) -> None:
    found = run("activate", "gelu", "--x", x, "--json").json["functions"][0]
    assert torch.tensor(found["value"]).shape == torch.tensor(found["derivative"]).shape == shape


def test_no_numbers_are_no_error() -> None:
    result = run("activate", "relu", "softmax", "--x", "zeros(0)", "--json").json
    assert [function["value"] for function in result["functions"]] == [[], []]
    assert run("activate", "relu", "--x", "zeros(0)").status == 0


def test_softmax_shows_the_diagonal_of_its_jacobian_along_the_last_dimension() -> None:
    rows = [[1.0, 2.0, -1.0], [0.0, 0.5, 3.0]]
    shown = run("activate", "softmax", "--x", str(rows), "--dtype", "float64", "--json").json
    for row, p, slope in zip(
        rows, shown["functions"][0]["value"], shown["functions"][0]["derivative"], strict=True
    ):
        total = sum(map(math.exp, row))
        assert p == pytest.approx([math.exp(x) / total for x in row], rel=1e-12)
        assert slope == pytest.approx([q * (1 - q) for q in p], rel=1e-12)
    assert any("softmax-jacobian" in note["text"] for note in shown["notes"])


@pytest.mark.parametrize(
    ("name", "slope"), [("log_softmax", lambda p: 1 - p), ("softmin", lambda p: -p * (1 - p))]
)
def test_the_kin_of_softmax_show_their_diagonals_too(
    name: str, slope: Callable[[float], float]
) -> None:
    sign = -1 if name == "softmin" else 1
    weights = [math.exp(sign * x) for x in POINTS]
    shown = run("activate", name, "--x", X, "--dtype", "float64", "--json").json
    expected = [slope(weight / sum(weights)) for weight in weights]
    assert shown["functions"][0]["derivative"] == pytest.approx(expected, rel=1e-12)
    assert any("softmax-jacobian" in note["text"] for note in shown["notes"])


def test_softmax_of_one_number_is_1_whatever_it_is() -> None:
    found = run("activate", "softmax", "log_softmax", "softmin", "--x", "3", "--json").json[
        "functions"
    ]
    assert [(each["value"], each["derivative"]) for each in found] == [
        (1.0, 0.0),
        (0.0, 0.0),
        (1.0, 0.0),
    ]


def test_step_has_values_and_no_derivative_and_says_why() -> None:
    shown = run("activate", "step", "--x", "-1,0,0.5", "--json").json
    assert shown["functions"] == [{"name": "step", "value": [0.0, 0.0, 1.0], "derivative": None}]
    (note,) = shown["notes"]
    assert "PyTorch" in note["text"]
    assert "0" in note["text"]


AT_KINKS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "hardtanh(0, 1)": lambda x: F.hardtanh(x, 0, 1),
    "leaky_relu(0.5)": lambda x: F.leaky_relu(x, 0.5),
    "threshold(0, 0)": lambda x: F.threshold(x, 0, 0),
    "softplus(beta=0)": lambda x: F.softplus(x, 0),
}


@pytest.mark.parametrize("name", AT_KINKS)
def test_at_a_kink_the_derivative_is_the_one_that_pytorch_picks(name: str) -> None:
    x = torch.zeros((), requires_grad=True)
    (slope,) = torch.autograd.grad(AT_KINKS[name](x), x)
    found = run("activate", name, "--x", "0", "--json").json["functions"][0]
    assert found["derivative"] == slope.item()


def test_the_keys_of_the_json_are_these_and_no_others() -> None:
    result = run("activate", "relu", "--x", "1", "--json").json
    assert set(result) == {"command", "dtype", "inputs", "defaults", "notes", "functions"}
    assert result["command"] == "activate"
    assert result["inputs"] == {"x": 1.0}
    assert result["defaults"] == result["notes"] == []
    assert set(result["functions"][0]) == {"name", "value", "derivative"}


def test_csv_has_a_line_per_element_and_two_columns_per_function() -> None:
    shown = run("activate", "relu", "step", "--x", "-1,2", "--csv").stdout
    assert shown == "index,x,relu,d_relu,step,d_step\n0,-1.0,0.0,0.0,0.0,\n1,2.0,2.0,1.0,1.0,\n"


def test_csv_quotes_what_holds_a_comma() -> None:
    shown = run("activate", "hardtanh(-2, 2)", "--x", "1;3", "--csv").stdout
    assert (
        shown
        == 'index,x,"hardtanh(-2, 2)","d_hardtanh(-2, 2)"\n"0,0",1.0,1.0,1.0\n"1,0",3.0,2.0,0.0\n'
    )


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["activate", "sigmod", "--x", "1"], "did you mean sigmoid"),
        (["activate", "mse", "--x", "1"], "gradcli loss mse"),
        (["activate", "sigmoid", "0.5"], "--x 0.5"),
        (["activate", "--x", "1"], "NAME is missing"),
        (["activate", "sigmoid"], "--x is missing"),
        (["activate", "leaky_relu(slope=1)", "--x", "1"], "negative_slope"),
        (["activate", "leaky_relu('a')", "--x", "1"], "negative_slope must be a number"),
        (["activate", "leaky_relu(0.2", "--x", "1"], "negative_slope"),
        (["activate", "gelu(approximate='best')", "--x", "1"], "tanh"),
        (["activate", "relu", "--x", "tensor([1,2])"], "float"),
        (["activate", "relu", "--x", "True,False"], "float"),
        (["activate", "relu", "--x", "1", "--row", "0"], "no option --row"),
    ],
)
def test_a_mistake_is_named_with_its_cure(words: list[str], says: str) -> None:
    shown = run(*words)
    assert (shown.status, shown.stdout) == (2, "")
    assert shown.stderr.startswith("error: ")
    assert says in shown.stderr


@pytest.mark.parametrize("x", ["tensor([1,2])", "True,False"])
def test_numbers_that_are_not_floating_get_their_floating_form(x: str) -> None:
    """The cause in gradcli's words: what x holds, and how to write it so that it can be
    differentiated by.
    """
    shown = run("activate", "sigmoid", "--x", x)
    assert shown.status == 2
    assert "int64" in shown.stderr or "bool" in shown.stderr
    assert "1,2" in shown.stderr or "1.0" in shown.stderr or "plain numbers" in shown.stderr
