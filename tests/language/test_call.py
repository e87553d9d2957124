"""NAME with arguments: what is read, what is refused and where, and what PyTorch computes for
it.
"""

import subprocess
import sys
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from hypothesis import example, given
from hypothesis import strategies as st

from gradcli.catalogue.functions import Activation, Loss
from gradcli.errors import ExpressionError, GradcliError, LiteralError, ShapeError, SizeError
from gradcli.evaluate import implementations
from gradcli.evaluate.machine import evaluate
from gradcli.language.calls import Call, Family, parse_call
from gradcli.language.expressions.expression import parse
from gradcli.language.source import Source


def read(text: str, family: Family = None) -> Call:
    return parse_call(Source(text, "NAME"), family)


@pytest.mark.parametrize(
    ("text", "name", "arguments"),
    [
        ("sigmoid", "sigmoid", {}),
        ("  swish ", "silu", {}),
        ("relu()", "relu", {}),
        ("leaky_relu(0.2)", "leaky_relu", {"negative_slope": 0.2}),
        ("leaky_relu (-.5)", "leaky_relu", {"negative_slope": -0.5}),
        ("elu(\n  alpha = --+2 )", "elu", {"alpha": 2}),
        ("hardtanh(-pi, max_val=inf)", "hardtanh", {"min_val": -torch.pi, "max_val": torch.inf}),
        ("gelu(tanh)", "gelu", {"approximate": "tanh"}),
        ("gelu(approximate='tanh')", "gelu", {"approximate": "tanh"}),
        ("huber(delta=2)", "huber", {"delta": 2}),
        ("huber('sum', 2)", "huber", {"reduction": "sum", "delta": 2}),
        ("kl(reduction=batchmean)", "kl_div", {"reduction": "batchmean"}),
        ("kl_div(log_target=True)", "kl_div", {"log_target": True}),
        (
            "cross_entropy(weight=[1,2,3], label_smoothing=0.1)",
            "cross_entropy",
            {"weight": (1, 2, 3), "label_smoothing": 0.1},
        ),
        ("ce((1, -2.5), -1)", "cross_entropy", {"weight": (1, -2.5), "ignore_index": -1}),
        ("bce(weight=None)", "bce", {"weight": None}),
        ("nll(weight=tensor([1., 2]))", "nll", {"weight": (1, 2)}),
        ("mse(weight=tensor([[1., 2], [3, 4]]))", "mse", {"weight": ((1, 2), (3, 4))}),
        ("bce_with_logits(pos_weight=torch.tensor(3.))", "bce_with_logits", {"pos_weight": 3}),
        ("multi_margin(2)", "multi_margin", {"p": 2}),
        ("rrelu(1/8, upper=1/3)", "rrelu", {"lower": 1 / 8, "upper": 1 / 3}),
        (" elu(\n -1/2 )", "elu", {"alpha": -0.5}),
        (
            "hardtanh(-(pi/2), 2*math.pi)",
            "hardtanh",
            {"min_val": -torch.pi / 2, "max_val": 2 * torch.pi},
        ),
        (
            "ce(weight=[1/2, 2*3], label_smoothing=1/10)",
            "cross_entropy",
            {"weight": (0.5, 6), "label_smoothing": 0.1},
        ),
    ],
)
def test_read(text: str, name: str, arguments: dict[str, Any]) -> None:
    call = read(text)
    assert (call.text, call.entry.name, call.arguments) == (text.strip(), name, arguments)
    assert hash(call) == hash(read(text))


def test_bound_has_defaults_in_order() -> None:
    assert list(read("ce(label_smoothing=0.1)").bound.items()) == [
        ("weight", None),
        ("ignore_index", -100),
        ("reduction", "mean"),
        ("label_smoothing", 0.1),
    ]


@pytest.mark.parametrize(
    ("text", "family", "place", "message", "hint"),
    [
        ("sigmod", Activation, "sigmod", "unknown activation 'sigmod'", "did you mean sigmoid"),
        ("ReLU", None, "ReLU", "unknown function 'ReLU'", "did you mean relu"),
        ("foo.gelu(1)", None, "foo.gelu", "unknown function 'foo.gelu'", "did you mean gelu"),
        ("qqq", Loss, "qqq", "unknown loss 'qqq'", "gradcli functions"),
        ("0.5", Activation, "0.5", "unknown activation '0.5'", "--x 0.5"),
        ("-1,2", Loss, "-1,2", "unknown loss '-1,2'", "--pred -1,2"),
        ("  ", None, "", "the name of a function is missing", "gradcli functions"),
        ("(1)", None, "(", "the name of a function is missing", "gradcli functions"),
        (
            "mse",
            Activation,
            "mse",
            "mse is a loss, not an activation",
            "gradcli loss mse --pred T --target T",
        ),
        ("relu", Loss, "relu", "relu is an activation, not a loss", "gradcli activate relu --x T"),
        ("relu(1)", None, "1", "relu takes no arguments", "write relu"),
        ("elu(1, 2)", None, "2", "elu takes at most 1 argument", "its parameters: elu(alpha=1.0)"),
        (
            "huber(2)",
            None,
            "2",
            "reduction must be mean or sum or none",
            "huber(reduction='mean', delta=1.0, weight=None)",
        ),
        ("huber(dleta=2)", None, "dleta=2", "huber has no parameter 'dleta'", "did you mean delta"),
        ("huber(zzz=2)", None, "zzz=2", "huber has no parameter 'zzz'", "its parameters"),
        ("huber(**d)", None, "**d", "huber has no parameter '**'", "its parameters"),
        ("elu(1, alpha=2)", None, "alpha=2", "alpha is given twice", "once"),
        ("elu(alpha=1, alpha=2)", None, "alpha=2", "alpha is given twice", "once"),
        ("elu(*[1])", None, "*[1]", "expected a number", "its parameters"),
        ("elu(big)", None, "big", "alpha must be a number", "its parameters"),
        ("elu(True)", None, "True", "alpha must be a number", "its parameters"),
        ("elu(None)", None, "None", "alpha must be a number", "its parameters"),
        ("elu([1])", None, "[1]", "alpha must be a number", "its parameters"),
        ("elu(1j)", None, "1j", "expected a number", "its parameters"),
        ("elu(1e400)", None, "1e400", "this number is too large", "its parameters"),
        ("elu(-'a')", None, "-'a'", "expected a number", "its parameters"),
        ("elu(1+1)", None, "1+1", "expected a number", "its parameters"),
        ("elu(exit())", None, "exit()", "expected a number", "its parameters"),
        ("elu(1/0)", None, "1/0", "division by zero", "its parameters"),
        ("elu(-(2*x))", None, "2*x", "'x' is a name, not a number", "its parameters"),
        (
            "elu([1]*2)",
            None,
            "[1]*2",
            "a literal cannot contain arithmetic on lists",
            "its parameters",
        ),
        (
            "elu(zeros(2)/2)",
            None,
            "zeros(2)/2",
            "zeros(..) must be the whole literal",
            "its parameters",
        ),
        (
            "elu((1, 2)*2)",
            None,
            "(1, 2)*2",
            "a literal cannot contain arithmetic on lists",
            "its parameters",
        ),
        (
            "ce(ignore_index=4/2)",
            None,
            "4/2",
            "ignore_index must be a whole number",
            "its parameters",
        ),
        ("elu(x.y)", None, "x.y", "expected a number", "its parameters"),
        ("kl(log_target=1)", None, "1", "log_target must be True or False", "its parameters"),
        (
            "ce(ignore_index=1.5)",
            None,
            "1.5",
            "ignore_index must be a whole number",
            "its parameters",
        ),
        (
            "ce(ignore_index=True)",
            None,
            "True",
            "ignore_index must be a whole number",
            "its parameters",
        ),
        (
            "ce(weight=heavy)",
            None,
            "heavy",
            "weight must be a number or a list such as [1, 2, 3]",
            "its parameters",
        ),
        (
            "mse(weight=[[1, 2], [3]])",
            None,
            "[[1, 2], [3]]",
            "all rows must have the same shape",
            "its parameters",
        ),
        ("ce(weight=[1, True])", None, "True", "expected a number", "its parameters"),
        (
            "mse(weight=tensor([[1], 2]))",
            None,
            "[[1], 2]",
            "all rows must have the same shape",
            "its parameters",
        ),
        ("huber(delta=tensor(2.))", None, "tensor(2.)", "expected a number", "its parameters"),
        (
            "kl(reduction=mode)",
            None,
            "mode",
            "reduction must be mean or sum or none or batchmean",
            "its parameters",
        ),
        ("multi_margin(3)", None, "3", "p must be 1 or 2", "its parameters"),
        ("elu(1", None, "(", "cannot parse these arguments", "its parameters"),
        ("  elu(1 2)", None, "1", "cannot parse these arguments", "its parameters"),
        (
            "elu(1)(2)",
            None,
            "elu(1)(2)",
            "expected one function name with its arguments",
            "gradcli grad EXPR",
        ),
        (
            "relu(1) + 1",
            None,
            "relu(1) + 1",
            "expected one function name with its arguments",
            "gradcli grad EXPR",
        ),
        ("elu(\u22121)", None, "\u2212", "invalid character U+2212", "use ASCII"),
    ],
)
def test_refused(text: str, family: Family, place: str, message: str, hint: str) -> None:
    with pytest.raises(ExpressionError) as refusal:
        read(text, family)
    assert refusal.value.span is not None
    assert refusal.value.span.label == "NAME"
    assert (refusal.value.message, text[_start(refusal.value) :][: len(place)]) == (message, place)
    assert hint in refusal.value.hint
    assert (refusal.value.message + refusal.value.hint).isascii()


def _start(error: GradcliError) -> int:
    """Where the drawn carets begin."""
    assert error.span is not None
    return error.span.draw()[1].index("^")


@pytest.mark.parametrize(
    "text",
    [
        "elu(" + "9" * 20 + ")",
        "elu(" + "1" * 20_000 + ")",
        "x" * 20_000,
        "elu(" * 5_000,
        "elu(-9223372036854775809)",
        f"mse(weight={'[' * 65}1{']' * 65})",
    ],
)
def test_bounds(text: str) -> None:
    with pytest.raises(SizeError):
        read(text)


@pytest.mark.parametrize(
    "inside",
    [
        "-" * 9_000 + "1",
        "[" * 4_000,
        "(" * 150 + ")" * 150,
        "1." + "0" * 9_000 + "_",
        "\0",
        "\ud800",
        "9" * 5_000,
        "'\\d'",
        "1if",
    ],
)
def test_hostile_arguments(inside: str) -> None:
    with pytest.raises(GradcliError):
        read(f"gelu({inside})")


@given(st.text(max_size=30), st.sampled_from(["", "elu", "ce", "gelu"]))
@example("alpha=2", "elu")
@example("'sum'", "ce")
@example("relu", "")
def test_any_text_is_read_or_refused(text: str, name: str) -> None:
    try:
        call = read(f"{name}({text})" if name else text)
    except GradcliError as error:
        assert error.hint or isinstance(error, SizeError)  # noqa: PT017 (most texts are refused, some may be read)
    else:
        assert call.bound.keys() == {parameter.name for parameter in call.entry.parameters}


def test_no_torch_is_loaded() -> None:
    program = "import sys, gradcli.language.calls; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


# What PyTorch computes for a call

PRED = torch.tensor([[0.2, -1.0, 0.7], [1.5, 0.3, -0.4]])
REAL = torch.tensor([[0.0, 1.0, 0.5], [1.0, 1.0, -1.0]])
CLASSES = torch.tensor([2, 0])
WEIGHT = torch.tensor([1.0, 2.0, 3.0])


@pytest.mark.parametrize(
    ("text", "reduction", "target", "expected"),
    [
        ("mse", None, REAL, F.mse_loss(PRED, REAL)),
        ("mse", "sum", REAL, F.mse_loss(PRED, REAL, reduction="sum")),
        ("mse", "none", REAL, (PRED - REAL) ** 2),
        ("mse(reduction=sum)", "none", REAL, F.mse_loss(PRED, REAL, reduction="sum")),
        ("huber(delta=0.5)", "sum", REAL, F.huber_loss(PRED, REAL, "sum", 0.5)),
        ("sse", "mean", REAL, (PRED - REAL).pow(2).sum()),
        ("sse", "none", REAL, (PRED - REAL).pow(2)),
        ("half_sse", None, REAL, (PRED - REAL).pow(2).sum() / 2),
        ("half_sse", "none", REAL, (PRED - REAL).pow(2) / 2),
        ("l2_norm", "mean", REAL, (PRED - REAL).pow(2).sum().sqrt()),
        ("l2_norm", "none", REAL, (PRED - REAL).pow(2).sum().sqrt()),
        (
            "kl(batchmean)",
            "sum",
            REAL.softmax(-1),
            F.kl_div(PRED, REAL.softmax(-1), reduction="batchmean"),
        ),
        ("ce([1,2,3])", None, CLASSES, F.cross_entropy(PRED, CLASSES, WEIGHT)),
        ("ce([1,2,3], 2)", None, CLASSES, F.cross_entropy(PRED, CLASSES, WEIGHT, ignore_index=2)),
        (
            "multi_margin(2, weight=[1,2,3])",
            None,
            CLASSES,
            F.multi_margin_loss(PRED, CLASSES, 2, 1.0, WEIGHT),
        ),
        (
            "bce_with_logits(pos_weight=3)",
            None,
            REAL,
            F.binary_cross_entropy_with_logits(PRED, REAL, pos_weight=torch.tensor(3.0)),
        ),
    ],
)
def test_loss_with_reduction(
    text: str, reduction: str | None, target: torch.Tensor, expected: torch.Tensor
) -> None:
    torch.testing.assert_close(
        implementations.loss(read(text, Loss), reduction)(PRED, target), expected
    )


@pytest.mark.parametrize(
    ("text", "reduction", "expression"),
    [
        ("mse", "mean", "mse(pred, target)"),
        ("mse", "sum", "mse(pred, target, reduction='sum')"),
        ("huber(delta=2)", "none", "huber(pred, target, delta=2, reduction='none')"),
        ("sse", "mean", "sse(pred, target)"),
        ("sse", "none", "mse(pred, target, reduction='none')"),
        ("half_sse", "none", "0.5*mse(pred, target, reduction='none')"),
        ("l2_norm", "none", "l2_norm(pred, target)"),
        ("bce_with_logits(weight=None)", "mean", "bce_with_logits(pred, target, weight=None)"),
        (
            "bce_with_logits(pos_weight=3)",
            "sum",
            "bce_with_logits(pred, target, pos_weight=tensor(3.0), reduction='sum')",
        ),
        (
            "bce_with_logits (weight=[1,2,3])",
            "mean",
            "bce_with_logits(pred, target, weight=tensor([1.0, 2.0, 3.0]))",
        ),
        (
            "mse(weight=[[1, 2, 3], (4, 5, 6)])",
            "mean",
            "mse(pred, target, weight=tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]))",
        ),
    ],
)
def test_a_loss_as_an_expression_is_the_same_loss(
    text: str, reduction: str, expression: str
) -> None:
    call, inputs = read(text, Loss), {"pred": PRED, "target": REAL}
    assert call.compared(reduction) == expression
    value = evaluate(parse(Source(expression), tuple(inputs)), inputs).value
    torch.testing.assert_close(value, implementations.loss(call, reduction)(PRED, REAL))


def test_elements() -> None:
    found = implementations.elements(read("mse(reduction=sum)"))
    assert found is not None
    torch.testing.assert_close(found(PRED, REAL), (PRED - REAL) ** 2)
    assert implementations.elements(read("l2_norm")) is None


def test_activations_of_one_number() -> None:
    for text in ("prelu", "step", "softmax", "leaky_relu(0.2)"):
        assert implementations.activation(read(text))(torch.tensor(-1.0)).shape == ()


# The targets of index losses


@pytest.mark.parametrize(
    ("text", "shape", "target", "expected"),
    [
        ("mse", (2,), torch.tensor([0.5, 1.5]), torch.tensor([0.5, 1.5])),
        ("ce", (3,), torch.tensor(2.0), torch.tensor(2)),
        ("ce", (1, 3), torch.tensor(2.0), torch.tensor([2])),
        ("nll", (3,), torch.tensor(1.0), torch.tensor(1)),
        ("nll", (2, 3), torch.tensor([0.0, 2.0]), torch.tensor([0, 2])),
        ("ce", (2, 3), torch.tensor([1, 2], dtype=torch.int32), torch.tensor([1, 2])),
        ("ce", (1, 3, 2), torch.tensor([[0.0, 2.0]]), torch.tensor([[0, 2]])),
        ("ce", (2, 3), REAL, REAL),
        ("ce(ignore_index=-7)", (2, 3), torch.tensor([-7.0, 1.0]), torch.tensor([-7, 1])),
        ("nll(ignore_index=9)", (2, 3), torch.tensor([9.0, 1.0]), torch.tensor([9, 1])),
        ("multilabel_margin", (3,), torch.tensor([2.0, -1.0, 0.0]), torch.tensor([2, -1, 0])),
    ],
)
def test_index_target(
    text: str, shape: tuple[int, ...], target: torch.Tensor, expected: torch.Tensor
) -> None:
    call, logits = read(text, Loss), torch.zeros(shape)
    made = implementations.index_target(call, logits, target)
    torch.testing.assert_close(made, expected)
    implementations.loss(call)(logits, made)


@pytest.mark.parametrize(
    ("text", "shape", "target", "error", "message"),
    [
        ("ce", (3,), 3.0, ShapeError, "target is 3, but pred has 3 classes"),
        ("nll", (2, 3), [0.0, 5.0], ShapeError, "target[1] is 5, but pred has 3 classes"),
        ("ce", (1, 3, 2), [[0, 3]], ShapeError, "target[0,1] is 3, but pred has 3 classes"),
        (
            "ce",
            (3,),
            -1.0,
            LiteralError,
            "target is -1.0, but a class index is a whole number from 0 up",
        ),
        (
            "ce",
            (2, 3),
            [-100, 1],
            LiteralError,
            "target[0] is -100, but a class index is a whole number from 0 up",
        ),
        (
            "ce(ignore_index=-7)",
            (2, 3),
            [-7, -8],
            LiteralError,
            "target[1] is -8, but a class index is a whole number",
        ),
        (
            "ce",
            (2, 3),
            [0.0, 0.5],
            LiteralError,
            "target[1] is 0.5, but a class index is a whole number from 0 up",
        ),
        ("ce", (3,), float("nan"), LiteralError, "target is nan, but"),
        ("ce", (3,), float("inf"), LiteralError, "target is inf, but"),
        ("ce", (3,), 1e30, LiteralError, "target is 1e+30, but"),
        (
            "ce",
            (3,),
            [0, 1, 0],
            ShapeError,
            "a target in the shape of pred must be probabilities, but this one is torch.int64",
        ),
        ("ce", (3,), [2.0], ShapeError, "pred is one row of 3 classes, but target is a list"),
        ("nll", (3,), [2.0], ShapeError, "pred is one row of 3 classes, but target is a list"),
        (
            "nll",
            (3,),
            [0.0, 1.0, 0.0],
            ShapeError,
            "nll takes the index of one class for each row of pred",
        ),
        (
            "multi_margin",
            (2, 3),
            [[0.0] * 3] * 2,
            ShapeError,
            "multi_margin takes the index of one class",
        ),
        (
            "ce",
            (),
            0.0,
            ShapeError,
            "cross_entropy needs a number for each class, but pred is a single number",
        ),
        (
            "multilabel_margin",
            (3,),
            [0, -2, 0],
            LiteralError,
            "target[1] is -2, but a label is a whole number from -1 up",
        ),
        (
            "multilabel_margin",
            (3,),
            [0, 3, -1],
            ShapeError,
            "target[1] is 3, but pred has 3 classes",
        ),
    ],
)
def test_index_target_refused(
    text: str, shape: tuple[int, ...], target: Any, error: type[GradcliError], message: str
) -> None:
    values = (
        torch.tensor(target, dtype=torch.float64)
        if isinstance(target, float)
        else torch.tensor(target)
    )
    with pytest.raises(error) as refusal:
        implementations.index_target(read(text, Loss), torch.zeros(shape), values)
    assert refusal.value.message.startswith(message)
    assert refusal.value.hint
