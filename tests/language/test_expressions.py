"""Expressions against plain PyTorch: names, forms, statements, places of errors, and how the text
was understood.
"""

# ruff: noqa: N803, N812  (matrices have capital names)
import ast
import math
import sys
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from gradcli.catalogue import operators
from gradcli.errors import (
    ExpressionError,
    GradcliError,
    LiteralError,
    MathError,
    ShapeError,
    SizeError,
)
from gradcli.evaluate import library, machine
from gradcli.evaluate.machine import Evaluation, evaluate
from gradcli.language.expressions.expression import parse
from gradcli.language.expressions.program import Expression
from gradcli.language.source import Source
from tests.choice import first_usual, in_rows, rare
from tests.program import TORCH, run

pytestmark = pytest.mark.usefixtures("double")


def inputs() -> dict[str, Tensor]:
    """Leaves that record, and integers that cannot."""
    generator = torch.Generator().manual_seed(7)

    def leaf(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator).requires_grad_()

    return {
        "x": leaf(3), "y": leaf(3), "w": leaf(), "b": leaf(), "A": leaf(3, 3), "B": leaf(2, 3), "X": leaf(4, 3),
        "i": torch.tensor(1), "t": torch.tensor([0.0, 2.0, 1.0, 1.0]), "p": torch.tensor([0.2, 0.5, 0.3], requires_grad=True),
    }  # fmt: skip


def computed(text: str, given: dict[str, Tensor] | None = None) -> Evaluation:
    given = inputs() if given is None else given
    return evaluate(parse(Source(text), tuple(given)), given)


def error_of(text: str) -> GradcliError:
    with pytest.raises(GradcliError) as caught:
        computed(text)
    return caught.value


def pointed(error: GradcliError) -> str:
    """What the carets are under."""
    assert error.span is not None
    line, carets = error.span.draw()
    return line[carets.index("^") : len(carets)]


Plain = Callable[..., Tensor]

IGNORING = torch.tensor([0, 7, 1, 1])

FORMS: dict[str, Plain] = {
    # the lecture's and the contract's own
    "mse(w*x + b, y)": lambda x, y, w, b, **_: F.mse_loss(w * x + b, y),
    "torch.norm(y - x, 2).pow(2)": lambda x, y, **_: torch.norm(y - x, 2).pow(2),
    "F.cross_entropy(X, t, reduction='sum')": lambda X, t, **_: F.cross_entropy(
        X, t.long(), reduction="sum"
    ),
    "softmax(x)[1]": lambda x, **_: torch.softmax(x, -1)[1],
    "x.masked_fill(x < 0, float('-inf')).exp()": lambda x, **_: torch.where(x < 0, 0.0, x.exp()),
    "F.relu(x, False) + F.elu(x, inplace=False)": lambda x, **_: F.relu(x) + F.elu(x),
    "x.relu().sum()": lambda x, **_: x.relu().sum(),
    "torch.linalg.det(A)": lambda A, **_: torch.linalg.det(A),
    "x.T @ x": lambda x, **_: x @ x,
    "A[0, :2]": lambda A, **_: A[0, :2],
    "x[x > 0].sum()": lambda x, **_: x[x > 0].sum(),
    "where(x > 0, x, 0*x)": lambda x, **_: torch.where(x > 0, x, 0 * x),
    "nn.MSELoss()(x, y)": lambda x, y, **_: F.mse_loss(x, y),
    "math.pi*x": lambda x, **_: math.pi * x,
    "np.exp(x)": lambda x, **_: torch.exp(x),
    # names and their spaces
    "exp(x)": lambda x, **_: torch.exp(x),
    "torch.exp(x)": lambda x, **_: torch.exp(x),
    "F.softplus(x)": lambda x, **_: F.softplus(x),
    "nn.functional.softplus(x)": lambda x, **_: F.softplus(x),
    "torch.nn.functional.softplus(x)": lambda x, **_: F.softplus(x),
    "expit(x)": lambda x, **_: torch.special.expit(x),
    "special.expit(x)": lambda x, **_: torch.special.expit(x),
    "torch.special.expit(x)": lambda x, **_: torch.special.expit(x),
    "inv(A)": lambda A, **_: torch.linalg.inv(A),
    "linalg.inv(A)": lambda A, **_: torch.linalg.inv(A),
    "np.linalg.inv(A)": lambda A, **_: torch.linalg.inv(A),
    "rfft(x).abs()": lambda x, **_: torch.fft.rfft(x).abs(),
    "fft.rfft(x).abs()": lambda x, **_: torch.fft.rfft(x).abs(),
    "np.fft.rfft(x).abs()": lambda x, **_: torch.fft.rfft(x).abs(),
    "torch.masked.sum(x, mask=x > 0)": lambda x, **_: torch.masked.sum(x, mask=x > 0),
    "np.power(x*x, 1.5)": lambda x, **_: torch.pow(x * x, 1.5),
    "np.sum(A, axis=0)": lambda A, **_: A.sum(0),
    "math.sqrt(w*w)": lambda w, **_: torch.sqrt(w * w),
    # NumPy's and Python's spellings
    "np.std(x)": lambda x, **_: torch.std(x, correction=0),
    "A.dot(x) + np.dot(A, x)": lambda A, x, **_: 2 * (A @ x),
    "x.dot(y)": lambda x, y, **_: x @ y,
    "np.max(A, axis=0)": lambda A, **_: A.amax(0),
    "A.sum(axis=0, keepdims=True)": lambda A, **_: A.sum(0, keepdim=True),
    "np.array([w*x[0], 2.0])": lambda w, x, **_: torch.stack([w * x[0], torch.tensor(2.0)]),
    "np.array([1., 2., 3.])*x + np.zeros((2, 3))": lambda x, **_: (
        torch.tensor([1.0, 2, 3]) * x + torch.zeros(2, 3)
    ),
    "np.average(A*2, axis=-1, weights=x*x)": lambda A, x, **_: (
        (A * 2 * (x * x)).sum(1) / (x * x).sum()
    ),
    "np.flip(A*w)": lambda A, w, **_: (A * w).flip(0, 1),
    "np.pad(A*w, ((1, 0), (0, 2)))": lambda A, w, **_: F.pad(A * w, (0, 2, 1, 0)),
    "np.where(x > 0, x, 0*x)[:, np.newaxis]": lambda x, **_: torch.where(x > 0, x, 0 * x)[:, None],
    "A[np.nonzero(A > 0)]": lambda A, **_: A[A > 0],
    "np.cross(A, A.T)": lambda A, **_: torch.linalg.cross(A, A.T),
    "x.copy().astype('float64') + x.type(torch.float64)": lambda x, **_: x * 2.0,
    "A.transpose().cumsum()": lambda A, **_: A.T.reshape(-1).cumsum(0),
    "x.std(ddof=1)": lambda x, **_: x.std(),
    "math.log(w*w, 2) + math.tau": lambda w, **_: torch.log2(w * w) + 2 * math.pi,
    "math.remainder(w, 2)": lambda w, **_: w - 2 * torch.round(w / 2),
    "x[:math.floor(len(x)/2)]*math.comb(5, 2)": lambda x, **_: x[:1] * 10,
    "sum([x, y, 2*x])": lambda x, y, **_: 3 * x + y,
    "max(2, 3)*x**pow(2, 1) + round(2.5) + abs(-2) + float(2) + int(2.7)": lambda x, **_: (
        3 * x**2 + 8
    ),
    "x.view(*x.shape, 1) + torch.stack([*A, x])[:3]": lambda x, A, **_: x.view(3, 1) + A,
    "pair = (x, y); mse(*pair) + nn.MSELoss()(*pair)": lambda x, y, **_: 2 * F.mse_loss(x, y),
    "pi*x + e": lambda x, **_: math.pi * x + math.e,
    "x*torch.inf": lambda x, **_: x * math.inf,
    # the catalogue's own
    "half_sse(x, y)": lambda x, y, **_: 0.5 * ((x - y) ** 2).sum(),
    "sse(x, y)": lambda x, y, **_: ((x - y) ** 2).sum(),
    "l2_norm(x, y)": lambda x, y, **_: ((x - y) ** 2).sum().sqrt(),
    "huber(x, y, delta=0.5)": lambda x, y, **_: F.huber_loss(x, y, delta=0.5),
    "prelu(x)": lambda x, **_: F.prelu(x, torch.tensor(0.25)),
    "prelu(x, w)": lambda x, w, **_: F.prelu(x, w),
    "swish(x)": lambda x, **_: F.silu(x),
    "bce(p, p)": lambda p, **_: F.binary_cross_entropy(p, p),
    "ce(X, t)": lambda X, t, **_: F.cross_entropy(X, t.long()),
    "nll(log_softmax(X), t)": lambda X, t, **_: F.nll_loss(torch.log_softmax(X, -1), t.long()),
    "nn.CrossEntropyLoss()(X, t)": lambda X, t, **_: F.cross_entropy(X, t.long()),
    "cross_entropy(X, where(t > 1, 7, t), ignore_index=7)": lambda X, t, **_: F.cross_entropy(
        X, IGNORING, ignore_index=7
    ),
    "nn.CrossEntropyLoss(ignore_index=7)(X, where(t > 1, 7, t))": lambda X, t, **_: F.cross_entropy(
        X, IGNORING, ignore_index=7
    ),
    "nn.NLLLoss(reduction='sum')(input=X, target=t)": lambda X, t, **_: F.nll_loss(
        X, t.long(), reduction="sum"
    ),
    "cross_entropy(input=X, target=t)": lambda X, t, **_: F.cross_entropy(X, t.long()),
    "cross_entropy(X, t, tensor([1., 2., 3.]))": lambda X, t, **_: F.cross_entropy(
        X, t.long(), torch.tensor([1.0, 2.0, 3.0])
    ),
    "cross_entropy(x, 2)": lambda x, **_: F.cross_entropy(x, torch.tensor(2)),
    "cross_entropy(x[None], i)": lambda x, **_: F.cross_entropy(x[None], torch.tensor([1])),
    "cross_entropy(x, p)": lambda x, p, **_: F.cross_entropy(x, p),
    # the last dimension
    "softmax(A)": lambda A, **_: torch.softmax(A, -1),
    "A.log_softmax()": lambda A, **_: torch.log_softmax(A, -1),
    "nn.Softmax()(A)": lambda A, **_: torch.softmax(A, -1),
    "softmax(A, 0)": lambda A, **_: torch.softmax(A, 0),
    "F.softmin(A, dim=0)": lambda A, **_: F.softmin(A, dim=0),
    # numbers where PyTorch wants tensors
    "sqrt(2)*x": lambda x, **_: math.sqrt(2) * x,
    "maximum(x, 0)": lambda x, **_: torch.maximum(x, torch.tensor(0.0)),
    "mse(x, 1)" if TORCH >= (2, 12) else "mse(x, 1.)": lambda x, **_: ((x - 1) ** 2).mean(),
    "exp(-x**2/2)/sqrt(2*pi)": lambda x, **_: torch.exp(-(x**2) / 2) / math.sqrt(2 * math.pi),
    # Python
    "-x**2": lambda x, **_: -(x**2),
    "2**-x": lambda x, **_: 2**-x,
    "x % 2 + 7 // 2": lambda x, **_: x % 2 + 3,
    "+x - +y": lambda x, y, **_: x - y,
    "(x > 0)*x + ~(x > 0)*y": lambda x, y, **_: (x > 0) * x + ~(x > 0) * y,
    "((x > 0) & (y > 0) | (x < -1))*x": lambda x, y, **_: ((x > 0) & (y > 0) | (x < -1)) * x,
    "A[..., 0] + A[:, None].sum((1, 2))": lambda A, **_: A[..., 0] + A[:, None].sum((1, 2)),
    "A[::2, 1:]": lambda A, **_: A[::2, 1:],
    "A[[0, 2]]": lambda A, **_: A[[0, 2]],
    "x[i // 1 + 3 // i - 3]": lambda x, **_: x[1],
    "x[i]": lambda x, **_: x[1],
    "x[-1]": lambda x, **_: x[-1],
    "-x if 1 < 3 < 2 or 3 < 2 < 9 else x": lambda x, **_: x,
    "x if x.ndim == 1 else -x": lambda x, **_: x,
    "-X[range(len(t)), t.long()].sum() + w*len(range(1, 4))": lambda X, t, w, **_: (
        3 * w - X[list(range(len(t))), t.long()].sum()
    ),
    "x*range(1, 4)": lambda x, **_: x * torch.tensor([1, 2, 3]),
    "-x if len(x) > 3 and True or not 1 < 2 < 3 else x": lambda x, **_: x,
    "x*x.shape[0] + A.size(1)": lambda x, **_: x * 3 + 3,
    "x*ones((1,)*3).sum() + x*ones(3*[1][0])": lambda x, **_: x + x,
    "X.reshape(x.shape + (4,)).sum(0)": lambda X, **_: X.reshape(3, 4).sum(0),
    "ones(2, 3, dtype=torch.float64)*B": lambda B, **_: B,
    "zeros_like(x) + torch.full((3,), 2.0)*x": lambda x, **_: 2 * x,
    "x.to(torch.float32).double()": lambda x, **_: x.float().double(),
    "x.float().to(float)": lambda x, **_: x.float().double(),
    "einsum('ij,j->i', A, x)": lambda A, x, **_: A @ x,
    "cat([x, y], dim=0)": lambda x, y, **_: torch.cat([x, y]),
    "stack((x, y)).sum(0, keepdim=True)": lambda x, y, **_: (x + y)[None],
    "A.sort(dim=0, descending=True).values": lambda A, **_: A.sort(0, descending=True).values,
    "max(A, 0)[0]": lambda A, **_: A.max(0)[0],
    "linalg.svd(A).S": lambda A, **_: torch.linalg.svdvals(A),
    "x.norm(p=3)": lambda x, **_: torch.linalg.vector_norm(x, 3),
    "F.normalize(B, p=2, dim=None or 1)": lambda B, **_: F.normalize(B),
    "nn.LeakyReLU(0.3)(x)": lambda x, **_: F.leaky_relu(x, 0.3),
    "(x*1j).imag": lambda x, **_: x * 1.0,
    "x.to_sparse().to_dense()": lambda x, **_: x * 1.0,
    # statements
    "h = x*w; h.sum()": lambda x, w, **_: (x * w).sum(),
    "h = x\nh += y  # more\nh *= 2": lambda x, y, **_: (x + y) * 2,
    "v, j = A.max(0); v*v": lambda A, **_: A.max(0).values ** 2,
    "h = x*w\r\nh.sum()": lambda x, w, **_: (x * w).sum(),
    "(a, c), d = (x, y), w; a*c*d": lambda x, y, w, **_: x * y * w,
    "a, c, d = x; a*c + d": lambda x, **_: x[0] * x[1] + x[2],
    "f = g = x*2; f + g": lambda x, **_: x * 4,
    "x = x*2; x": lambda x, **_: x * 2,
    "n = 0; n += 2; n *= 3; x*n": lambda x, **_: x * 6,
    "loss = nn.MSELoss(reduction='sum'); loss(x, y)": lambda x, y, **_: ((x - y) ** 2).sum(),
    "  x +  y  ": lambda x, y, **_: x + y,
    "(\n   x\n   + y  # the other\n)": lambda x, y, **_: x + y,
    "x;": lambda x, **_: x,
    "\uff58 + y": lambda x, y, **_: x + y,
    # names of the user that are functions too
    "mse = w*2; mse(x*mse, y)": lambda x, y, w, **_: F.mse_loss(x * w * 2, y),
    "e = w; e*exp(x)": lambda x, w, **_: w * torch.exp(x),
    "fft = x; fft.real*2": lambda x, **_: x * 2,
}
"""Expressions, and the same in plain PyTorch."""


@pytest.mark.filterwarnings("ignore:Using a target size")
@pytest.mark.parametrize("text", FORMS)
def test_value_and_gradients_equal_plain_pytorch(text: str) -> None:
    given, plain_given = inputs(), inputs()
    value, plain = computed(text, given).value, FORMS[text](**plain_given)
    torch.testing.assert_close(value, plain, rtol=1e-12, atol=1e-12)
    if not plain.requires_grad:
        pytest.fail("this form differentiates nothing")
    leaves = [name for name, tensor in given.items() if tensor.requires_grad]
    upstream = torch.linspace(0.5, 1.5, value.numel()).reshape(value.shape)
    mine = torch.autograd.grad(value, [given[name] for name in leaves], upstream, allow_unused=True)
    pytorchs = torch.autograd.grad(
        plain, [plain_given[name] for name in leaves], upstream, allow_unused=True
    )
    for name, one, other in zip(leaves, mine, pytorchs, strict=True):
        zero = torch.zeros_like(given[name])
        torch.testing.assert_close(
            zero if one is None else one,
            zero if other is None else other,
            rtol=1e-12,
            atol=1e-12,
            equal_nan=True,
            msg=name,
        )


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("2*3", 6.0),
        ("x.shape[0]", 3.0),
        ("len(A)", 3.0),
        ("7//2", 3.0),
        ("sqrt(16)", 4.0),
        ("2 > 1", 1.0),
        ("10**18", 1e18),
        ("9223372036854775807", 2.0**63),
        ("2**62 + (2**62 - 1)", 2.0**63),
        ("-(2**62) - (2**62 - 1)", -(2.0**63)),
    ],
)
def test_a_plain_number_is_a_result(text: str, number: float) -> None:
    value = computed(text).value
    assert (value.shape, value.item()) == ((), number)


def test_intermediates_are_the_tensors_that_were_named_each_by_its_last_binding() -> None:
    found = computed("h = w*x; n = 2; h = h + b; s, i = h.sort(); s*n")
    assert list(found.intermediates) == ["h", "s", "i"]
    given = inputs()
    torch.testing.assert_close(found.intermediates["h"], given["w"] * given["x"] + given["b"])


def test_random_numbers_come_from_the_generator_in_the_order_of_the_text() -> None:
    torch.manual_seed(3)
    value = computed("rand(3)*x + randn(3)").value
    torch.manual_seed(3)
    assert torch.equal(value, torch.rand(3) * inputs()["x"] + torch.randn(3))


def test_functions_that_write_into_their_arguments_get_copies() -> None:
    given = {"x": torch.randn(4, 2), "m": torch.zeros(2), "v": torch.ones(2)}
    computed("F.batch_norm(x, m, v, training=True)", given)
    computed("F.batch_norm(x, running_mean=m, running_var=v, training=True)", given)
    assert torch.equal(given["m"], torch.zeros(2))
    assert torch.equal(given["v"], torch.ones(2))


def test_plain_values_may_be_inputs() -> None:
    given = {"x": torch.tensor([-1.0, 2.0]), "beta": 0, "margin": 1.5}
    expression = parse(Source("x*margin if beta == 0 else -x"), tuple(given))
    assert evaluate(expression, given).value.tolist() == [-1.5, 3.0]


def read(text: str, names: tuple[str, ...] = ("x", "y", "w", "A")) -> Expression:
    return parse(Source(text), names)


def test_the_same_text_is_read_once() -> None:
    assert read("x + y") is read("x + y")
    assert read("x + y") is not read("x + y", ("x", "y"))


def test_what_is_read_and_bound() -> None:
    expression = read("h = w*x; y = h; y")
    assert set(expression.names) == {"w", "x"}
    assert expression.assigned == ("h", "y")


@pytest.mark.parametrize(
    "text",
    [
        "softmax(x)", "F.log_softmax(x)", "x.softmax()", "nn.Softmax()(x)", "F.softmin(x)", "logsumexp(x)",
        "torch.special.logsumexp(x)", "x.logsumexp()", "torch.masked.softmax(x)",
    ],
)  # fmt: skip
def test_an_omitted_dimension_is_noted(text: str) -> None:
    ((code, words),) = read(text).notes
    assert code == "softmax-dim"
    assert "dim=-1" in words


@pytest.mark.parametrize(
    "text", ["softmax(x, 0)", "x.softmax(dim=0)", "nn.Softmax(0)(x)", "sum(x)", "logsumexp(x, 0)"]
)
def test_a_given_dimension_is_not(text: str) -> None:
    assert read(text).notes == ()


@pytest.mark.parametrize(
    ("text", "canonical_text"),
    [
        ("-x**2", "-(x**2)"),
        ("(-x)**2", "(-x)**2"),
        ("-(x**2)", "-(x**2)"),
        ("-x.abs()", "-x.abs()"),
        ("2**-x**2", "2**-(x**2)"),
        ("x**y**w", "x**(y**w)"),
        ("x/y*w", "(x/y)*w"),
        ("x/y/w", "(x/y)/w"),
        ("x/(y*w)", "x/(y*w)"),
        ("x*y*w", "x*y*w"),
        ("x*y/w", "x*y/w"),
        ("x + y*w", "x + y*w"),
        ("A @ x*w", "(A @ x)*w"),
        ("-x % 3", "(-x) % 3"),
        ("x > 0 & y", "x > (0 & y)"),
        ("(x > 0) & (y > 0)", "(x > 0) & (y > 0)"),
        ("x | y & w", "x | (y & w)"),
        ("x | y | w", "x | y | w"),
        ("(x/y*w) + 1", "((x/y)*w) + 1"),
        ("sin(x/y*w)", "sin((x/y)*w)"),
        ("(x**y**w)*2", "(x**(y**w))*2"),
        ("x + y | w", "(x + y) | w"),
        ("x < y | w < A", "x < (y | w) < A"),
        ("x | y < w | A", "(x | y) < (w | A)"),
        ("x < ( y | w ) < A", "x < ( y | w ) < A"),
        ("x @ y @ w", "x @ y @ w"),
        ("x*y @ w", "(x*y) @ w"),
        ("x % y*w", "(x % y)*w"),
        ("x // -y", "x // -y"),
        ("x + y % w", "x + y % w"),
        ("x if w else y < A", "x if w else (y < A)"),
        ("x if w > y else A", "x if w > y else A"),
        ("x - y if 1 else x + y", "(x - y) if 1 else (x + y)"),
        ("h = -x**2\n\nh*2 # twice", "h = -(x**2); h*2"),
        ("sum(\n  x,   # all\n  0)", "sum( x, 0)"),
        ("einsum('i,i # no comment', x, y)", "einsum('i,i # no comment', x, y)"),
    ],
)
def test_how_it_was_understood(text: str, canonical_text: str) -> None:
    assert read(text).canonical_text == canonical_text


@st.composite
def formulas(draw: st.DrawFn, depth: int = 3) -> str:
    """Text over x, y and w with every operator, brackets where they may be missing or needless, and
    odd blanks.
    """
    if not depth or draw(st.integers(0, 4)) == 0:
        return draw(st.sampled_from(["x", "y", "w", "x[0]", "sin(x)"]))
    first, second = draw(formulas(depth - 1)), draw(formulas(depth - 1))
    form = draw(
        st.sampled_from(
            [
                "{0}{2}{3}{2}{1}",
                "({0}{2}{3}{2}{1})",
                "( {0} {3} {1}\n)",
                "-{0}",
                "(~{0})",
                "({0})",
                "sin({0})",
            ]
        )
        | st.sampled_from(
            ["{0} if w else {1}", "({0} if w else {1})", "(x < {0} <= {1})", "{0} > {1}"]
        )
    )
    operator = draw(st.sampled_from(["+", "-", "*", "/", "//", "%", "**", "@", "&", "|"]))
    return form.format(first, second, draw(st.sampled_from(["", " "])), operator)


@pytest.mark.parametrize("draws", [50, rare(150)])
def test_what_was_understood_is_the_same_to_python_and_stays_as_it_is(draws: int) -> None:
    @given(formulas())
    @settings(max_examples=draws)
    def is_the_same(text: str) -> None:
        shown = read(text).canonical_text
        assert ast.dump(ast.parse(shown)) == ast.dump(ast.parse(text.replace("\n", " ")))
        assert read(shown).canonical_text == shown

    is_the_same()


NOT_POSITIVE = "expected a positive input" if sys.version_info >= (3, 14) else "math domain error"
ERRORS: list[tuple[str, type[GradcliError], str, str, str]] = [
    ("A @ B", ShapeError, "@", "the right one (2)", "left [3, 3], right [2, 3]\nthe right one fits when transposed"),
    ("x @ B", ShapeError, "@", "", "left [3], right [2, 3]"),
    ("X @ t", ShapeError, "@", "", "the left one fits when transposed"),
    ("A.outer(x)", ShapeError, "outer", "", "shapes [3, 3], [3]"),
    ("x + 2*(A @ B)", ShapeError, "@", "", "left [3, 3], right [2, 3]"),
    ("x + t", ShapeError, "+", "3 and 4 in the last dimension must be equal, or one of them 1", "left [3], right [4]"),
    ("sin(x) + mse(x, t)", ShapeError, "mse", "", "shapes [3], [4]"),
    ("x.reshape(7)", ShapeError, "reshape", "3 elements cannot be arranged as [7], which has 7", "shape [3]"),
    ("x[x]", ShapeError, "x", "", "i=tensor(1)"),
    ("x ^ y", ShapeError, "^", "this is bitwise xor, not a power", "write ** for a power"),
    ("x > 0 & y", ShapeError, "&", "", "put brackets around each comparison"),
    ("torch.sum(x, 'a')", ShapeError, "sum", *(("does not take (Tensor, str)", "it takes (Tensor input, *")
     if TORCH >= (2, 13) else ("Name 'a' not found", ""))),  # dimensions had names
    ("where(x=0)", ShapeError, "where", "", ""),
    ("norm(x, q=2)", ShapeError, "norm", "", "to compare, write q == ..."),
    ("nn.CrossEntropyLoss()(X, t - 100)", LiteralError, "nn.CrossEntropyLoss()", "target[0] is -100", "start at 0"),
    ("cross_entropy(X, t - 100)", LiteralError, "cross_entropy", "target[0] is -100", "start at 0"),
    ("cross_entropy(x, 7)", ShapeError, "cross_entropy", "target is 7, but pred has 3 classes", ""),
    ("x.half() @ linalg.inv(A.half())", ShapeError, "inv", "", "--dtype float32"),
    ("fft.fft(x)", MathError, "fft.fft(x)", "complex", "write (fft.fft(x)).abs() or (fft.fft(x)).real"),
    ("x // 2", MathError, "//", "no derivative", "floor(a / b)"),
    ("x.sort()", ExpressionError, "x.sort()", "sequence of length 2", "choose one: (x.sort()).values"),
    ("[x, y]", ExpressionError, "[x, y]", "sequence of length 2", "stack([...])"),
    ("x + [1]", ExpressionError, "+", "+ is not defined between a tensor and a sequence", "stack([a, b])"),
    ("[1] - x", ExpressionError, "-", "- is not defined between a sequence and a tensor", "stack([a, b])"),
    ("len('a'*3)*x", ExpressionError, "*", "* is not defined between text and a number", ""),
    ("len(3*'a')*x", ExpressionError, "*", "* is not defined between a number and text", ""),
    ("n = 2; (n^n)*x", ExpressionError, "^", "^ is not a power", "write **"),
    ("x.S", ExpressionError, "S", "a tensor has no .S", ""),
    ("(x, y).values", ExpressionError, "values", "a sequence has no .values", ""),
    ("n = 2; n[0]*x", ExpressionError, "0", "a number cannot be indexed by a number", ""),
    ("x.shape[x]", ExpressionError, "x", "a sequence cannot be indexed by a tensor", ""),
    ("tensor([x, y])", ExpressionError, "tensor", "the gradient is lost", "stack([a, b])"),
    ("0 < x < 1", ExpressionError, "<", "got a tensor", "(a < x) & (x < b)"),
    ("x if x > 0 else y", ExpressionError, "x > 0", "got a tensor", "where(condition, this, that)"),
    ("not x", ExpressionError, "not", "", "write ~"),
    ("x > 0 and y > 0 and w", ExpressionError, "and", "'and' needs a single true/false value", "write &"),
    ("a, c = x", ExpressionError, "a, c", "2 names for 3 values", ""),
    ("\u03a3(x - y)\u00b2", ExpressionError, "\u03a3", "a sum is written sum(...)", "write sum((x - y)**2)"),
    ("# \u03a3\nh = '\u00e9'; \u03a3x + y\u00b2", ExpressionError, "\u03a3", "a sum is written", ""),
    ("x**2\n+ sinn(y)", ExpressionError, "sinn", "unknown function sinn", "did you mean sin"),
    ("lr*x", ExpressionError, "lr", "unknown name lr", "give it a value: lr=1"),
    ("torch.sofmax(x, 0)", ExpressionError, "sofmax", "unknown function torch.sofmax", "did you mean torch.softmax"),
    ("x.rellu()", ExpressionError, "rellu", "unknown method rellu", "did you mean relu"),
    ("learning_rate = w; learning_rat*x", ExpressionError, "learning_rat", "", "did you mean learning_rate?"),
    ("ln(x)", ExpressionError, "ln", "", "write log(x)"),
    ("x^2", ExpressionError, "^", "^ is not a power", "write x**2"),
    ("e^x", ExpressionError, "^", "", "write exp(x)"),
    ("y + e^-x", ExpressionError, "^", "", "write y + exp(-x)"),
    ("2x + 1", ExpressionError, "2", "a product is written with *", "write 2*x + 1"),
    ("a\t=\t2x", ExpressionError, "2", "a product is written with *", "write a = 2*x"),
    ("3x\u00b2 \u2212 2x", ExpressionError, "3", "", "write 3*x**2 - 2*x"),
    ("2(x)", ExpressionError, "2", "2 is a value, not a function", "write 2*(x)"),
    ("(x + 1)(x - 1)", ExpressionError, "x + 1", "", "write (x + 1)*(x - 1)"),
    ("|x|", ExpressionError, "|", "", "write abs(x)"),
    ("sin x", ExpressionError, "x", "", "write sin(x)"),
    ("f'(x)", ExpressionError, "f", "unterminated string literal", "use Python's syntax"),
    ("w*x x=3, w=2", ExpressionError, "x", "each as a separate word: x=3 w=2", "write w*x"),
    ("where(x = 0, 1, x)", ExpressionError, ")", "equal is written ==", "write where(x == 0, 1, x)"),
    ("\u201cx\u201d", ExpressionError, "\u201c", "", 'write "x"'),
    ("x.relu_()", ExpressionError, "relu_", "in place", "write relu(...)"),
    ("x.data", ExpressionError, "data", "", "write .detach()"),
    ("x.item()", ExpressionError, "item", "", "leave it out"),
    ("torch.save(x, 'f')", ExpressionError, "save", "save is not allowed", ""),
    ("torch.sin(x, out=y)", ExpressionError, "out", "out= is not allowed", "leave it out"),
    ("F.relu(x, True)", ExpressionError, "True", "inplace", "leave the argument out"),
    ("sin", ExpressionError, "sin", "sin is a function", "call it: sin(x)"),
    ("nn.Linear(2, 1)(x)", ShapeError, "nn.Linear(2, 1)", "(in_features is 2), but it has [3]", "make it for 3"),
    ("nn.LazyLinear(1)(x)", ExpressionError, "LazyLinear", "takes its sizes from its first input", "nn.Linear(x.shape[-1], 3)"),
    ("nn.ModuleList([nn.Tanh()])", ExpressionError, "ModuleList", "cannot be called", "nn.Sequential(...)"),
    ("n = nn.Linear(3, 1); n.parameters()", ExpressionError, "parameters", "returns no tensor", "are inputs"),
    ("n = nn.Linear(3, 1); n.eval", ExpressionError, "eval", "is a method", "call it: .eval()"),
    ("MSELoss()(x, y)", ExpressionError, "MSELoss", "", "write nn.MSELoss"),
    ("nn.ReLU(x)", ExpressionError, "ReLU", "the first brackets of a module", "write nn.ReLU()(x)"),
    ("nn.MSELoss(x, y)", ExpressionError, "MSELoss", "brackets of a module", "write nn.MSELoss()(x, y)"),
    ("nn.MSELoss(x)", ExpressionError, "MSELoss", "brackets of a module", "write nn.MSELoss()(pred, target)"),
    ("2*nn.Sigmoid(x)", ExpressionError, "Sigmoid", "brackets of a module", "write 2*nn.Sigmoid()(x)"),
    ("nn.CrossEntropyLoss(w, b)", ExpressionError, "CrossEntropyLoss", "brackets of a", "write nn.CrossEntropyLoss()(w, b)"),
    ("h = w*x; nn.GELU(h*x)", ExpressionError, "nn.GELU", "brackets of a module", "write h = w*x; nn.GELU()(h*x)"),
    ("nn.Transformer(4)(B, B)", ShapeError, "Transformer", "d_model must be a multiple of nhead", "activation='relu', "),
    ("z=fft.fft(x)", MathError, "z=fft.fft(x)", "complex", "write z=fft.fft(x); z.abs() or z=fft.fft(x); z.real"),
    ("h = x*1j; h += 1", MathError, "h = x*1j; h += 1", "complex", "write h = x*1j; h += 1; h.abs() or "),
    ("y=(x, x)", ExpressionError, "y=(x, x)", "sequence of length 2", "choose one: y=(x, x); y[0]"),
    ("a, c=x.max(0)", ExpressionError, "a, c=x.max(0)", "sequence of length 2", "choose one: a, c=x.max(0); a"),
    ("net=nn.Softmax(0)", ExpressionError, "net=nn.Softmax(0)", "a module", "call it: net=nn.Softmax(0); net(x)"),
    ("nn.Softmax(0)", ExpressionError, "nn.Softmax(0)", "a module", "call it: (nn.Softmax(0))(x)"),
    ("nn.Sequential(nn.ReLU)(x)", ExpressionError, "nn.ReLU", "a class of modules", "write nn.ReLU()"),
    ("nn.Sequential(nn.ReLU(), torch.tanh)", ExpressionError, "torch.tanh", "is a function", "write nn.Tanh()"),
    ("nn.LSTM(5, 2)(A)", ShapeError, "nn.LSTM(5, 2)", "shape [length, 5] or [length, batch, 5]", "make it for 3"),
    ("h = w*x; nn.LSTM(3, 2)(h[None])", ExpressionError, "h = w*x; nn.LSTM(3, 2)(h[None])", "length 2",
     "h = w*x; (nn.LSTM(3, 2)(h[None]))[0]"),
    ("max(x, 0)", ExpressionError, "max(x, 0)", "sequence of length 2", "or element by element: maximum(x, 0)"),
    ("max(w, 3)", ShapeError, "max", "no dimension 3: the tensor is a single number", "maximum(w, 3)"),
    ("x.min(5)", ShapeError, "min", "no dimension 5: the tensor has one dimension", "x.minimum(5)"),
    ("softmax(w, dim=1)", ShapeError, "softmax", "no dimension 1: the tensor is a single number", "shape []"),
    ("w[0]", ShapeError, "0", "a single number has no elements", "leave the index out, or give several numbers"),
    ("take(x, w)", ShapeError, "take", "Expected a long tensor", "write whole numbers as i=tensor([0, 1]), or x.long()"),
    ("one_hot(t, 3)", ShapeError, "one_hot", "LongTensor", "write whole numbers as i=tensor([0, 1]), or x.long()"),
    ("x.topk(w)", ShapeError, "topk", "argument 'k' (position 1) must be int", "as an input: k=tensor(1)"),
    ("x.sum(w)", ShapeError, "sum", "it does not take (Tensor)", "as an input: k=tensor(1)"),
    ("cross_entropy(X, t, weight=w*x)", MathError, "cross_entropy",
     "PyTorch has no derivative of cross_entropy by its weight, which depends on w and x", ": --wrt y,b,A,B,X,p"),
    ("F.batch_norm(A.T, y, 1 + 2*x, x)", MathError, "batch_norm",
     "batch_norm by its running_mean and running_var, which depend on x and y", ": --wrt w,b,A,B,X,p"),
    ("h = nn.BCELoss(y)(p, p)", MathError, "nn.BCELoss(y)", "no derivative of BCELoss by its weight, which depends on y",
     ": --wrt x,w,b,A,B,X,p"),
    ("float(w)", ExpressionError, "float", "takes the number out of the graph", "leave it off, or write .detach()"),
    ("np.random.rand(2)", ExpressionError, "random", "unknown function np.random", "write torch.rand(2, 3)"),
    ("np.relu(x)", ExpressionError, "relu", "unknown function np.relu", "write F.relu, PyTorch's function"),
    ("numpy.meen(x)", ExpressionError, "meen", "unknown function np.meen", "np.mean"),
    ("math.sqroot(w)", ExpressionError, "sqroot", "unknown function math.sqroot", "math.sqrt"),
    ("np.sum(x, where=x > 0)", ExpressionError, "where", "np.sum takes no where= here", "np.sum(a, axis=None"),
    ("np.std(*x)", ExpressionError, "std", "does not take these arguments", "write np.std(a"),
    ("math.factorial(10**6)", SizeError, "factorial", "too large", "write a float"),
    ("math.comb(w, 2)", ExpressionError, "comb", "takes plain numbers", "exp(lgamma(n + 1))"),
    ("math.log(-1)*x", ExpressionError, "log", f"log: {NOT_POSITIVE}", "tensor(-1.)"),
    ("torch.sum(*w)", ExpressionError, "torch.sum(*w)", "* unpacks sequences", "leave out the *"),
    ("a = (0,)*60000; b = (*a, *a); x", SizeError, "(*a, *a)", "too many values", ""),
    ("np.tile(x, 10**9)", SizeError, "tile", "3,000,000,000 elements", ""),
    ("np.pad(x, 10**9)", SizeError, "pad", "2,000,000,003 elements", ""),
    ("np.repeat(x, 10**9)", SizeError, "repeat", "3,000,000,000 elements", ""),
    ("np.outer(A.repeat(9999, 1), A.repeat(9999, 1))", SizeError, "outer", "elements", ""),
    ("torch.newfunc2099(x)", ExpressionError, "newfunc2099", "", f"PyTorch {torch.__version__} is installed"),
    ("x.sinh2099()", ExpressionError, "sinh2099", "", f"PyTorch {torch.__version__} is installed"),
    ("lambda*x", ExpressionError, "", "lambda is a Python keyword", "write lambda_*x"),
    ("LeakyReLU(x)", ExpressionError, "LeakyReLU", "LeakyReLU is a module", "write nn.LeakyReLU()(x)"),
    ("stack(x, y)", ShapeError, "stack", "", "put them into a list: stack([a, b])"),
    ("x[::-1]", ShapeError, "::-1", "", "to reverse, write .flip(0)"),
    ("softmax(x, axis=0)", ShapeError, "softmax", "", "PyTorch calls it dim="),
    ("torch = x", ExpressionError, "torch", "is a name of", ""),
    ("(x", ExpressionError, "(", "a bracket was never closed", "write (x)"),
    ("sum({x, y})", ExpressionError, "{x, y}", "sets are not supported", "use (..) to group"),
    ("sum({'a': x})", ExpressionError, "{'a': x}", "dictionaries are not supported", "write out the arguments"),
    ("(x,\ny = x", ExpressionError, "(", "the bracket ( was never closed", "write ) where it ends"),
    ("a = (x*2\nb = a*3\nb", ExpressionError, "(", "the bracket ( was never closed", "write ) where it ends"),
    ("a = (x*2", ExpressionError, "(", "a bracket was never closed", "write a = (x*2)"),
    ("softmax(x, dim=0", ExpressionError, "(", "a bracket was never closed", "write softmax(x, dim=0)"),
    ("def f(x):\n    return 2x\nf(x)", ExpressionError, "def f(x):", "definitions are not allowed", "name the steps"),
    ("class A:\n    pass\nx", ExpressionError, "class A:", "definitions are not allowed", "name the steps"),
    ("for i in range(3):\n  x = x*2\nx", ExpressionError, "for i in range(3):", "loops are not allowed", "for whole tensors"),
    ("y = x\nif x > 0: # up\n    y = -x\nelse:\n    y = 1\ny", ExpressionError, "if x > 0: # up",
     "'if' and 'match' are not allowed", "write where(condition, this, that)"),
    ("try:\n    y = x\nexcept:\n    y = 1\ny", ExpressionError, "try:", "exceptions are not allowed", ""),
    ("with torch.no_grad():\n\ty = x\ny", ExpressionError, "with torch.no_grad():", "'with' is not allowed", ".detach()"),
    ("ones(10**15)", SizeError, "ones", "1,000,000,000,000,000 elements", ""),
    ("add(zeros(2**15, 1), other=zeros(2**15))", SizeError, "add", "add would make 1,073,741,824 elements", ""),
    ("x.expand(10**9, 3)", SizeError, "expand", "3,000,000,000 elements", ""),
    ("2**2**10", SizeError, "**", "at most 64 bits", "2.0**100"),
    ("1 << 10**18", SizeError, "<<", "at most 64 bits", "2.0**100"),
    ("2**62 + 2**62", SizeError, "+", "at most 64 bits", "2.0**100"),
    ("-(2**62) - 2**62", SizeError, "-", "at most 64 bits", "2.0**100"),
    ("9223372036854775808", SizeError, "9223372036854775808", "at most 64 bits", "1e30"),
    ("99999999999999999999*x", SizeError, "99999999999999999999", "at most 64 bits", ""),
    ("x + '\ud800'", ExpressionError, "\\ud800", "invalid character", "type it again"),
    ("h = einsum('\u00e9', x)\n\nk = h # \u00e9\nk*einsum('\u00e9') + nope", ExpressionError, "nope", "unknown name nope", ""),
]  # fmt: skip
"""Text, kind of the error, what the carets are under, and pieces of the message and the cure."""


@pytest.mark.parametrize(
    ("text", "kind", "under", "message", "hint"),
    [case if place % 2 == 0 else rare(*case) for place, case in enumerate(ERRORS)],
    ids=[case[0] for case in ERRORS],
)
def test_errors_say_what_where_and_what_to_do(
    text: str, kind: type[GradcliError], under: str, message: str, hint: str
) -> None:
    error = error_of(text)
    assert type(error) is kind
    assert pointed(error) == under
    assert message in error.message
    assert hint in error.hint


@pytest.mark.parametrize(
    ("text", "dtype"),
    [
        ("fft.fft(x).abs().sum()", "float16"),
        ("polar(x, x).abs().sum()", "bfloat16"),
        ("view_as_complex(x).abs().sum()", "bfloat16"),
        ("special.i1(x).sum()", "float16"),
        ("pinverse(x.view(1, 2)).sum()", "bfloat16"),
        ("cdist(x[None], x[None]).sum()", "float16"),
        ("quantile(x, 0.5)", "float16"),
    ],
)
def test_where_pytorch_has_no_half_precision_single_precision_is_offered(
    text: str, dtype: str
) -> None:
    ran = run("grad", text, "x=1,2", "--dtype", dtype)
    assert ran.status == 2
    assert ran.stderr.endswith("choose a dtype that supports it: --dtype float32\n")
    assert "expected a matrix" not in ran.stderr


@pytest.mark.parametrize(
    "text", [*operators.SPACES, *(f"{path}(x)" for path in operators.SPACES if "." in path)]
)
def test_a_namespace_is_no_value_and_something_in_it_is_offered(text: str) -> None:
    error = error_of(text)
    path = text.removesuffix("(x)")
    assert (
        error.message == f"{path} is a namespace, not a {'value' if path == text else 'function'}"
    )
    assert pointed(error) == path
    assert read(error.hint.partition(": ")[2], ("x",)).names == ("x",)


def test_places_count_characters_not_bytes() -> None:
    error = error_of("einsum('\u00e9\u00e9\u00e9', x) + nope")
    assert pointed(error) == "nope"


def test_where_no_correction_is_known_python_says_what_is_wrong_without_its_guess() -> None:
    error = error_of("x + " * 150 + "sin(x y)")  # too long to be corrected
    assert (error.message, pointed(error)) == ("invalid syntax", "x")
    assert error.hint.startswith("use Python's")


CORRECTED: dict[str, Plain] = {
    "x^2": lambda x, **_: x**2,
    "2*x^2 + 1": lambda x, **_: 2 * x**2 + 1,
    "e^x": lambda x, **_: torch.exp(x),
    "y + e^-x": lambda x, y, **_: y + torch.exp(-x),
    "e^(x + y) - 1": lambda x, y, **_: torch.exp(x + y) - 1,
    "x^{2}": lambda x, **_: x**2,
    "2x + 1": lambda x, **_: 2 * x + 1,
    "2x + 3x^2": lambda x, **_: 2 * x + 3 * x**2,
    "d/dx x^2": lambda x, **_: x**2,
    "2 sin(x) cos(x)": lambda x, **_: 2 * torch.sin(x) * torch.cos(x),
    "3x\u00b2 \u2212 2x": lambda x, **_: 3 * x**2 - 2 * x,
    "x \u00d7 \u03c0": lambda x, **_: x * math.pi,
    "\u03c0*x": lambda x, **_: x * math.pi,
    "2(x)": lambda x, **_: 2 * x,
    "(x + 1)(x - 1)": lambda x, **_: x**2 - 1,
    "|x| + |y|": lambda x, y, **_: x.abs() + y.abs(),
    "sin x": lambda x, **_: torch.sin(x),
    "sin 2*x": lambda x, **_: torch.sin(2 * x),
    "where(x = 0, 1, x)": lambda x, **_: x,
    "x > 0 ? x : 0*x": lambda x, **_: torch.relu(x),
    "A'": lambda A, **_: A.T,
    "sum(stack([x, y])": lambda x, y, **_: (x + y).sum(),
    "sum((x + y)*x": lambda x, y, **_: ((x + y) * x).sum(),
    "\\frac{x}{2}": lambda x, **_: x / 2,
    "\u2016x - y\u2016\u00b2/2": lambda x, y, **_: ((x - y) ** 2).sum() / 2,
    "\u2016x\u2016_1": lambda x, **_: x.abs().sum(),
    "log|x|": lambda x, **_: x.abs().log(),
    "log|x|+1": lambda x, **_: x.abs().log() + 1,
    "2|x| - w|y|": lambda x, y, w, **_: 2 * x.abs() - w * y.abs(),
    "2\u03c0x": lambda x, **_: 2 * math.pi * x,
    "\u03c0x\u00b2": lambda x, **_: math.pi * x**2,
    "e^(2x)": lambda x, **_: torch.exp(2 * x),
    "e^(-x\u00b2)": lambda x, **_: torch.exp(-(x**2)),
    "e^-x\u00b2": lambda x, **_: torch.exp(-(x**2)),
    "e^x^2": lambda x, **_: torch.exp(x**2),
    "(2p)^(p+1)": lambda p, **_: (2 * p) ** (p + 1),
    "A^T @ x": lambda A, x, **_: A.T @ x,
    "B^T": lambda B, **_: B.T,
    "x^T A x": lambda A, x, **_: x @ A @ x,
    "x'A y + 1": lambda A, x, y, **_: x @ A @ y + 1,
    "sin\u00b2(x)": lambda x, **_: torch.sin(x) ** 2,
    "sin^2(x) + cos**2(y)": lambda x, y, **_: torch.sin(x) ** 2 + torch.cos(y) ** 2,
    "sin\u00b2 x": lambda x, **_: torch.sin(x) ** 2,
    "tanh^-1(p)": lambda p, **_: torch.atanh(p),
    "tanh\u207b\u00b9(p)": lambda p, **_: torch.atanh(p),
    "sin'(x)": lambda x, **_: torch.sin(x),
    "x**2 x=3 w=1": lambda x, **_: x**2,
    "x**2, x=3": lambda x, **_: x**2,
    "2x at x=3": lambda x, **_: 2 * x,
    "softmax(x, dim=0": lambda x, **_: torch.softmax(x, 0),
    "\u221a2*x": lambda x, **_: math.sqrt(2) * x,
    "1/\u221ap * A@x": lambda A, p, x, **_: (1 / p.sqrt() * A) @ x,
    "x\u221ap": lambda x, p, **_: x * p.sqrt(),
    "\u221a\u03a3x\u00b2": lambda x, **_: (x**2).sum().sqrt(),
    "\u03a3(x-y)\u00b2": lambda x, y, **_: ((x - y) ** 2).sum(),
    "\u00bd\u03a3 (x-y)\u00b2 + w\u03a3x\u00b2": lambda x, y, w, **_: (
        ((x - y) ** 2).sum() / 2 + w * (x**2).sum()
    ),
    "1/w \u03a3(x-y)**2": lambda x, y, w, **_: ((x - y) ** 2).sum() / w,
    "-\u03a3 y log(p)": lambda y, p, **_: -(y * p.log()).sum(),
    "-sum y log p": lambda y, p, **_: -(y * p.log()).sum(),
    "-sum(y ln p)": lambda y, p, **_: -(y * p.log()).sum(),
    "-y log p - (1-y) log(1-p)": lambda y, p, **_: -y * p.log() - (1 - y) * (1 - p).log(),
    "-y*ln(p) - ln(1-p)": lambda y, p, **_: -y * p.log() - (1 - p).log(),
    "ln x\u00b2 + log y^2": lambda x, y, **_: (x**2).log() + (y**2).log(),
    "log det(A.T@A)": lambda A, **_: (A.T @ A).det().log(),
    "A^-1 @ x": lambda A, x, **_: A.inverse() @ x,
    "A^{-1} @ x": lambda A, x, **_: A.inverse() @ x,
    "(X.T@X)\u207b\u00b9 @ X.T @ t": lambda X, t, **_: (X.T @ X).inverse() @ X.T @ t,
    "(X^T X)^-1 X^T t": lambda X, t, **_: (X.T @ X).inverse() @ X.T @ t,
    "x\u1d40A\u207b\u00b9x": lambda A, x, **_: x @ A.inverse() @ x,
    "x^T A^-1 x": lambda A, x, **_: x @ A.inverse() @ x,
    "x\u207b\u00b9": lambda x, **_: 1 / x,
    "exp^(-x)": lambda x, **_: torch.exp(-x),
    "e^{-x}": lambda x, **_: torch.exp(-x),
    "\\frac{1}{2}(w*x-y)^2": lambda x, y, w, **_: (w * x - y) ** 2 / 2,
    "tr(A A)": lambda A, **_: (A @ A).trace(),
    "2*tr(A @ A)": lambda A, **_: 2 * (A @ A).trace(),
    "\u03c3(x)(1-\u03c3(x))": lambda x, **_: x.sigmoid() * (1 - x.sigmoid()),
    "\u2016x-y\u2016\u2082\u00b2": lambda x, y, **_: ((x - y) ** 2).sum(),
    "||x||\u2081": lambda x, **_: x.abs().sum(),
    "||x-y||^2_2": lambda x, y, **_: ((x - y) ** 2).sum(),
    "\u2016x\u2016\u00b2\u2082 + x": lambda x, **_: (x**2).sum() + x,
    "(A^T A)x": lambda A, x, **_: A.T @ A @ x,
    "x^T(A+A^T)x": lambda A, x, **_: x @ (A + A.T) @ x,
    "softmax(A B^T, -1)B": lambda A, B, **_: torch.softmax(A @ B.T, -1) @ B,
    "tr(A\u1d40A)": lambda A, **_: (A.T @ A).trace(),
    "sin(x)\u00b7cos(x)": lambda x, **_: x.sin() * x.cos(),
    "2\u00b7x": lambda x, **_: 2 * x,
    "2(x+y)(x-y)": lambda x, y, **_: 2 * (x + y) * (x - y),
    "-[y log p + (1-y) log(1-p)]": lambda y, p, **_: -(y * p.log() + (1 - y) * (1 - p).log()),
    "\\sum_{i=1}^{n} x^2": lambda x, **_: (x**2).sum(),
    "(x > 0 && x < 1)*x": lambda x, **_: ((x > 0) & (x < 1)) * x,
}
"""Slips, and what the correction that the error offers must compute."""


@pytest.mark.parametrize("text", first_usual(CORRECTED, in_rows(2, CORRECTED)))
def test_a_correction_can_be_copied_and_computes_what_was_meant(text: str) -> None:
    verb, _, corrected = error_of(text).hint.partition(" ")
    assert verb == "write"
    torch.testing.assert_close(computed(corrected).value, CORRECTED[text](**inputs()))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\u221a2x", "sqrt(2)*x, or sqrt(2*x)"),
        ("\u221ax\u00b2", "sqrt(2)*x, or sqrt(2*x)"),
        ("\u03a3 x - y", "sum(x + y), or sum(x) + y"),
        ("\u03a3_i x", "sum(x + y), or sum(x) + y"),
        ("A^-1 x", "the inverse of a matrix is written inv(A)"),
        ("A x + b", "a product is written with *, of matrices with @"),
        ("ln|A|", "an absolute value is written abs(...), a determinant det(...)"),
        ("log x/2", "a function takes its argument in brackets"),
        ("log 1-p", "a function takes its argument in brackets"),
        ("2wx", "a product is written with *"),
        ("(A + B)x", "a product is written with *, of matrices with @"),
    ],
)
def test_what_may_mean_several_things_is_named_but_not_corrected(text: str, message: str) -> None:
    error = error_of(text)
    assert message in error.message
    assert error.hint.startswith("use Python's syntax")


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("KL(p||t)", "write sum(p*log(p/t))"),
        ("x^2_1", "write **, as in x**2"),
        ("A\u00b7x", "write A*x, or of vectors and matrices A @ x"),
        ("(A@x)(A@x)", "a product is written with *, of matrices with @"),
        ("A(tanh(A@x))", "write A*(...), or of matrices A @ (...)"),
    ],
)
def test_a_hint_is_never_another_formula(text: str, hint: str) -> None:
    assert error_of(text).hint == hint


def test_a_name_that_the_installed_pytorch_lacks_is_an_error_that_names_its_version(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(torch.special, "gammaincc")
    for kept in (library.function, machine._bound):
        kept.cache_clear()
    error = error_of("x + special.gammaincc(x, y)")
    assert error.message == f"PyTorch {torch.__version__} has no special.gammaincc"
    assert pointed(error) == "gammaincc"
    assert error.hint


def test_a_complex_input_is_refused_with_the_real_forms() -> None:
    with pytest.raises(MathError, match="the input z is complex") as caught:
        computed("z*2", {"z": torch.tensor([1j])})
    assert caught.value.hint == "give z.abs() or z.real"


def test_a_complex_intermediate_is_kept() -> None:
    assert computed("z = fft.fft(x); z.abs().sum()").intermediates["z"].is_complex()


def test_whoever_watches_sees_every_operation_before_it_runs() -> None:
    seen: list[str] = []
    given = inputs()
    evaluate(
        parse(Source("h = w*x; F.mse_loss(h, y).sqrt()[None]"), tuple(given)),
        given,
        lambda step, _: seen.append(step.span.text),
    )
    assert seen == ["*", "mse_loss", "sqrt", "None"]


@pytest.mark.smoke
@pytest.mark.filterwarnings("ignore")
def test_modules_on_the_list_have_no_parameters() -> None:
    for entry in operators.entries()["nn"]:
        name = entry.partition("/")[0]
        try:
            module = getattr(nn, name)()
        except TypeError:
            continue  # it wants settings
        assert list(module.parameters()) == [], name


def test_names_without_a_meaning_are_inputs_where_inputs_are_free() -> None:
    """In the order in which they are read; a function called, a constant, a step are none."""
    read_freely = parse(Source("h = sigmoid(w*x + b); e*pi*t*h + torch.sin(a)"), ("x",), free=True)
    assert read_freely.names == ("w", "x", "b", "t", "a")
    for text in ("relu", "sigmod(x)", "np.x", "true*x", "tf.sin(x)", "__x__", "x.nope"):
        with pytest.raises(ExpressionError):
            parse(Source(text), (), free=True)
    with pytest.raises(ExpressionError):
        parse(Source("w*x"), ("x",))
