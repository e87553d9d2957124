"""Notes are true or not there: what makes each one true, computed in plain PyTorch, against the
notes on random cases.
"""

import random
import re
from collections.abc import Callable, Iterator, Sequence

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from gradcli.commands.dispatch import compute
from gradcli.commands.grad.request import Grad
from gradcli.options.check import check
from gradcli.options.fill import from_words
from tests.choice import first_usual, in_rows, rare
from tests.program import run

DTYPES = {name: getattr(torch, name) for name in ("float32", "float64", "float16", "bfloat16")}
CASES = 60
"""Random cases for each rule: milliseconds each, because they are computed in this process."""


def literal(tensor: Tensor) -> str:
    """A tensor as an input is written, with all its digits."""
    return str(tensor.tolist()) if tensor.dtype != torch.int64 else f"tensor({tensor.tolist()})"


def told(
    expression: str, inputs: dict[str, Tensor], dtype: str = "float64", **options: str
) -> dict[str, list[str]]:
    """The notes on `grad` by code."""
    words = [expression, *(f"{name}={literal(tensor)}" for name, tensor in inputs.items())]
    request = from_words(Grad, words, {"dtype": dtype, **options})
    result = compute(check(request, lambda: ""), lambda step, operands: None)
    found: dict[str, list[str]] = {}
    for note in result.notes:
        found.setdefault(note.code, []).append(note.text)
    return found


def cases(seed: int) -> Iterator[random.Random]:
    """Generators of random choices, PyTorch's seeded alike."""
    for number in range(CASES):
        torch.manual_seed(1000 * seed + number)
        yield random.Random(1000 * seed + number)


def slope(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    leaf = x.clone().requires_grad_()
    return torch.autograd.grad(function(leaf).sum(), leaf)[0]


FLAT: dict[str, tuple[Callable[[Tensor], Tensor], float, Sequence[float]]] = {
    "sigmoid(x)": (torch.sigmoid, 0, ()), "tanh(x)": (torch.tanh, 0, ()), "logsigmoid(x)": (F.logsigmoid, 0, ()),
    "hardsigmoid(x)": (F.hardsigmoid, 0, (-3, 3)), "hardtanh(x)": (F.hardtanh, 0, (-1, 1)),
    "softsign(x)": (F.softsign, 0, ()), "gelu(x)": (F.gelu, 2, ()), "silu(x)": (F.silu, 2, ()), "mish(x)": (F.mish, 2, ()),
    "hardswish(x)": (F.hardswish, 2, (-3, 3)), "softplus(x)": (F.softplus, 0, ()), "elu(x)": (F.elu, 0, ()),
    "elu(x, alpha=1e-7)": (lambda x: F.elu(x, 1e-7), 0, (0,)), "celu(x, 0.1)": (lambda x: F.celu(x, 0.1), 0, ()),
    "selu(x)": (F.selu, 0, ()),
}  # fmt: skip
"""Activations that saturate; how far from 0 their least value may lie, where the slope is 0 too;
where they bend."""


def test_saturated_is_a_slope_below_a_millionth() -> None:
    hits = 0
    for chance in cases(1):
        text, (function, least, bends) = chance.choice(list(FLAT.items()))
        dtype = chance.choice(list(DTYPES))
        x = (torch.randn(chance.choice([1, 3, 70])) * chance.choice([1, 4, 10, 300])).to(
            DTYPES[dtype]
        )
        x[0] = chance.choice([0.0, 3.0, -1.0, -0.75, torch.inf, torch.nan, float(x[0])])
        flat = slope(function, x).abs() < 1e-6
        flat &= (x.abs() > least) & ~torch.isin(x, torch.tensor(bends, dtype=x.dtype))
        found = told(text, {"x": x}, dtype, vjp=literal(torch.ones(len(x)))).get("saturated", [])
        assert bool(found) == bool(flat.any()), (text, x, found)
        if found:
            hits += 1
            assert ("exactly 0" in found[0]) == bool((slope(function, x)[flat] == 0).any()), (
                text,
                dtype,
                x,
                found,
            )
            assert (f"{int(flat.sum())} of {len(x)}" in found[0]) == (int(flat.sum()) > 1)
    assert 10 < hits < CASES


def test_a_row_of_softmax_is_saturated_where_one_probability_is_all() -> None:
    hits = 0
    for chance in cases(2):
        rows, dim = chance.choice([1, 3]), chance.choice([0, 1])
        x = torch.randn(rows, chance.choice([1, 2, 5]), dtype=torch.float64) * chance.choice(
            [1, 10, 100, 1000]
        )
        p = torch.softmax(x, dim)
        flat = ((p * (1 - p)).amax(dim) < 1e-6) & (p.amax(dim) > 0.5)
        found = told(f"softmax(x, {dim}).sum()", {"x": x}).get("saturated", [])
        assert bool(found) == bool(flat.any()), (x, dim, found)
        hits += bool(found)
        if found and p.shape[dim] > 1:
            assert f"{int(flat.sum())} of {flat.numel()} rows" in found[0]
    assert 10 < hits < CASES
    assert "saturated" not in notes_of("grad", "softmax(x, -1)[0]", "x=zeros(1100000)")


def notes_of(*words: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for note in run(*words, "--json").json["notes"]:
        found.setdefault(note["code"], []).append(note["text"])
    return found


def test_a_relu_is_dead_where_every_input_is_negative() -> None:
    for chance in cases(3):
        x = torch.randn(chance.choice([1, 2, 5, 70])) - chance.choice([0, 2, 4])
        x[-1] = chance.choice([0.0, torch.nan, -torch.inf, float(x[-1])])
        found = told("nn.ReLU()(x).sum()", {"x": x}, "float32")
        assert ("dead-relu" in found) == bool((x < 0).all()), (x, found)


BENDS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "relu(x).sum()": lambda x, y: x == 0,
    "abs(x).sum()": lambda x, y: x == 0,
    "leaky_relu(x, 0.5).sum()": lambda x, y: x == 0,
    "leaky_relu(x, 1).sum()": lambda x, y: x != x,
    "elu(x).sum()": lambda x, y: x != x,
    "elu(x, 2).sum()": lambda x, y: x == 0,
    "relu6(x).sum()": lambda x, y: (x == 0) | (x == 6),
    "softshrink(x, 1).sum()": lambda x, y: x.abs() == 1,
    "x.clamp(-1, 1).sum()": lambda x, y: x.abs() == 1,
    "x.clamp(min=y).sum()": lambda x, y: x == y,
    "torch.clamp(x, 1, y).sum()": lambda x, y: ((x == 1) & (y > 1)) | ((x == y) & (y > 1)),
    "maximum(x, y).sum()": lambda x, y: x == y,
    "torch.min(x, y).sum()": lambda x, y: x == y,
    "x.max()": lambda x, y: (x == x.max()) & (int((x == x.max()).sum()) > 1),
    "x.min(0)[0]": lambda x, y: (x == x.min()) & (int((x == x.min()).sum()) > 1),
    "torch.norm(x)": lambda x, y: (x == 0) & bool((x == 0).all()),
    "torch.norm(x, 1)": lambda x, y: x == 0,
    "norm(x.view(1, -1), 2, 1).sum()": lambda x, y: (x == 0) & bool((x == 0).all()),
    "l1(x, y)": lambda x, y: x == y,
    "F.l1_loss(x, y, weight=w)": lambda x, y: (x == y) & (torch.arange(len(x)) > 0),
    "mse(x, y)": lambda x, y: x != x,
    "l2_norm(x, y)": lambda x, y: (x == y) & bool((x == y).all()),
    "rrelu(x, training=True).sum()": lambda x, y: x != x,
}
"""Where functions have no derivative by x; the weight w is 0 for the first element and 1 for the
others."""


def test_a_kink_is_met_exactly_or_not_at_all() -> None:
    hits = 0
    for number, chance in enumerate(cases(4)):
        for text in list(BENDS)[number % 3 :: 3]:
            x, y = (
                torch.tensor(chance.choices([-1.0, 0.0, 1.0, 2.0, 6.0], k=chance.choice([2, 2, 3])))
                for _ in range(2)
            )
            x, y = x[: len(y)], y[: len(x)]
            x = x + chance.choice([0, 0, 0, 1e-5])
            w = (torch.arange(len(x)) > 0).float()
            given = {
                "x": x,
                **({"y": y} if "y" in text else {}),
                **({"w": w} if "=w" in text else {}),
            }
            here = int(BENDS[text](x, y).sum())
            found = told(text, given, "float32", wrt="x").get("kink", [])
            counts = [
                int(more[1]) if (more := re.search("; ([0-9]+) elements", said)) else 1
                for said in found
            ]
            assert sum(counts) == here, (text, given, found)
            hits += here > 0
    assert hits > CASES


CHOOSING = [
    "x.sort()[0]", "torch.sort(x, descending=True).values", "x.msort()", "x.topk(2)[0]", "x.topk(2, largest=False).values",
    "x.kthvalue(2).values", "x.mode()[0]", "torch.mode(x.view(2, 2), 0)[0]",
    "x.median()", "x.nanmedian()", "x.median(0)[0]", "x.quantile(0.5)", "torch.quantile(x, q)",
    "x.nanquantile(q=q)", "x.cummax(0)[0]", "x.cummin(0).values", "torch.stack(x.aminmax())", "torch.norm(x, torch.inf)",
    "torch.linalg.vector_norm(x, ord=-torch.inf)", "torch.linalg.norm(x[:, None], torch.inf, dim=0)",
    "F.max_pool1d(x[None], 2, 1)", "F.max_pool2d(x[None, None], (1, 3), return_indices=True)[0]",
    "F.max_pool3d(x[None, None, None], (1, 1, 2))", "F.adaptive_max_pool1d(x[None], 2)",
    "nn.MaxPool1d(3, padding=1)(x[None])", "nn.AdaptiveMaxPool2d(1)(x[None, None])",
]  # fmt: skip
"""Functions that choose among the elements of x by their order."""
APART = [
    "torch.dist(x, y)", "torch.dist(x, y, 1)", "F.pairwise_distance(x, y)", "torch.cdist(x[:, None], y[:, None])",
    "torch.cdist(x.view(2, 2), y.view(2, 2))", "torch.cdist(y.view(2, 2), x.view(2, 2), 1.0)",
    "torch.hypot(x, y)", "torch.dist(x, y, torch.inf)", "torch.cdist(x.view(2, 2), y.view(2, 2), torch.inf)",
    "F.pairwise_distance(x.view(2, 2), y.view(2, 2), torch.inf)", "F.pairwise_distance(x, y, eps=0)",
    "F.pdist(x[:, None])", "F.pdist(x.view(2, 2), torch.inf)", "torch.norm(x.view(2, 2), 1)",
    "torch.norm(x.view(2, 2), torch.inf)", "torch.norm(x.view(2, 2), 'nuc')",
    *(f"torch.linalg.norm(x.view(2, 2), {order})"
      for order in ("'nuc'", "'fro'", "2", "-2", "1", "-1", "torch.inf", "-torch.inf")),
    "torch.linalg.matrix_norm(x.view(2, 2), 2)", "torch.linalg.matrix_norm(x.view(1, 2, 2), 'nuc', (1, 0)).sum()",
    "torch.linalg.norm(x.view(4, 1), -2)",
]  # fmt: skip
"""Norms and functions of two tensors with a kink where these are equal, or both 0."""


REDUCED = ["({}).sum()", "({}).reshape(-1)[0]", "({}).reshape(-1).cumsum(0).sum()"]
"""What may be made of their outputs: a sum in which kinks cancel, one of them, and one where none do."""


def _sides(text: str, x: Tensor, y: Tensor) -> list[tuple[Tensor, Tensor, Tensor]]:
    """The slopes on the left, by autograd and on the right, for each element of x: each [outputs].
    Those of a jump are infinite.
    """
    names = {
        "torch": torch,
        "F": F,
        "nn": torch.nn,
        "y": y,
        "q": torch.tensor([0.25, 0.5]).double(),
    }

    def value(x: Tensor) -> Tensor:
        made: Tensor = eval(text, {}, {**names, "x": x})
        return made.sum().reshape(1) if text in APART else made.reshape(-1)

    def slope(change: Tensor) -> Tensor:
        return torch.where(change.abs() > 0.1, change.sign() * torch.inf, change / step)

    chosen: Tensor = torch.autograd.functional.jacobian(value, x)  # type: ignore[no-untyped-call]
    step = 1e-10  # far below the eps of pairwise_distance
    return [
        (slope(value(x) - value(x - step * e)), by, slope(value(x + step * e) - value(x)))
        for e, by in zip(torch.eye(len(x)).double(), chosen.T, strict=True)
    ]


@pytest.mark.parametrize("text", first_usual(CHOOSING + APART, in_rows(13, CHOOSING + APART)))
@pytest.mark.parametrize("dtype", ["float64", rare("float32")])
def test_a_tie_is_told_where_the_slopes_beside_it_differ(text: str, dtype: str) -> None:
    """The note is about the operation as it is used, by one element alone: `sort` has no kink at a tie
    in the sum of its outputs, and the median of 3, 3, 3 has none. Its slopes are those of one output.
    """
    hits = misses = 0
    for chance in cases(11):
        x, y = (
            torch.tensor(chance.choices([-2.0, -1, 0, 1, 3, 4.5, 7], k=4)).double() for _ in "xy"
        )
        if text in APART and chance.random() < 0.5:
            y = chance.choice([x, 0 * y])
            x = chance.choice([x, y])
        sides = _sides(text, x, y)
        whole = chance.choice(REDUCED[: 1 if text in APART else 3]).format(text)
        used = [
            (float(left), float(right))
            for left, _, right in (_sides(whole, x, y) if text in CHOOSING else sides)
        ]
        bent = [
            i for i, (left, right) in enumerate(used) if left != right and abs(left - right) > 1e-2
        ]
        given = {"x": x, "y": y, "q": torch.tensor([0.25, 0.5])}
        given = {name: t for name, t in given.items() if re.search(rf"\b{name}\b", text)}
        found = told(whole, given, dtype, wrt="x").get("kink", [])
        assert len(found) == bool(bent), (whole, x, y, found)
        hits, misses = hits + bool(bent), misses + (not bent)
        if not bent:
            continue
        count = re.search("; ([0-9]+) elements", found[0])
        assert int(count[1] if count else 1) == len(bent), (whole, x, y, found)
        numbers = re.search(r" = (\S+): .*slope (\S+) \(left (\S+), right (\S+)\)", found[0])
        assert numbers
        told_x, slope, left, right = map(float, numbers.groups())
        assert told_x == float(x[bent[0]])
        shown = torch.tensor([left, slope, right]).double()
        every = torch.stack(sides[bent[0]], -1)
        assert any(torch.allclose(each, shown, atol=2e-3, equal_nan=True) for each in every), (
            whole, x, y, found, every,
        )  # fmt: skip
    assert misses > 3
    assert (hits > 4) is (text != "F.pairwise_distance(x, y)")  # whose eps makes it smooth


def test_a_tie_is_equality_and_not_nearness() -> None:
    x = torch.tensor([1.0, 1.0, 2.0, 0.5, 0.5]).double()
    near = x + torch.tensor([0, 2**-52, 0, 0, 0]).double()
    for text in ("x.median()", "x.topk(2)[0].sum()", "torch.norm(x[:2], inf)", "x.kthvalue(4)[0]"):
        assert "kink" in told(text, {"x": x}), text
        assert "kink" not in told(text, {"x": near}), text


@pytest.mark.parametrize(
    ("text", "x", "end"),
    [
        ("x.sort()[0][0]", torch.arange(900.0) % 300, "; 3 elements are at a kink"),
        ("x.topk(450)[0].sum()", torch.arange(900.0) % 300, ""),
        ("x.topk(451)[0].sum()", torch.arange(900.0) % 300, "; 3 elements are at a kink"),
        ("x.cummax(0)[0].sum()", torch.zeros(500), "; at least 64 elements are at a kink"),
        ("F.max_pool1d(x[None], 2)[0, -1]", torch.zeros(5000), "[0,4998] = 0"),
        ("x.sort()[0].sum() + x.median() + x.kthvalue(200)[0]", torch.zeros(501), ""),
    ],
)
def test_a_tie_of_many_is_looked_for_as_well(text: str, x: Tensor, end: str) -> None:
    found = told(text, {"x": x}).get("kink", [])
    assert len(found) == bool(end)
    assert all(end in note for note in found)


INDICES = ("max(1)[1]", "min(1)[1]", "median(1)[1]", "topk(1)[1].squeeze(1)")
"""Targets that a tensor chooses for itself: nothing passes back through the values."""


@pytest.mark.parametrize(
    ("words", "kinks"),
    [
        ("jacobian x.sort()[0] x=1,1", 1),
        ("jacobian x.sort()[0].sum() x=1,1", 0),
        ("hessian (x.sort()[0]**2).sum() x=1,1", 0),
        ("grad x.sort()[0] x=1,1 --vjp 1,1", 0),
        ("grad x.sort()[0] x=1,1 --vjp 1,2", 1),
        ("grad nn.MaxPool1d(2)(x[None]).sum() x=1,1 --via backward", 1),
        ("grad x.aminmax()[1] x=1,1,3", 0),
        *((f"grad cross_entropy(x,x.{index}) x=2,2;1,3", 0) for index in INDICES),
        *((f"grad (y*x.{index}).sum() x=2,2;1,3 y=1 --jvp y=1", 0) for index in INDICES),
        *((f"grad y*x.{index} x=2,2;1,3 y=1,2 --jvp y=1,1", 0) for index in INDICES),
        ("grad y[x.max(0)[1]] x=2,2 y=1,2", 0),
        ("grad i=x.max(0)[1];x.max(0)[0]*y[i] x=2,2 y=1,2 --jvp x=1,1", 1),
        ("jacobian y[x.sort()[1]] x=2,2 y=1,2", 0),
        ("grad cross_entropy(x,x.max(1)[1])+x.max(1)[0].sum() x=2,2;1,3", 1),
        ("grad cross_entropy(x,x.topk(1)[1][:,0])+x.topk(1)[0].sum() x=2,2;1,3", 1),
        *(
            (f"grad {text} x={end},{end}", 0)
            for text in ("x.max()", "x.min()", "x.max(0)[0]", "maximum(x,x.detach()).sum()")
            for end in ("inf", "-inf")
        ),
        ("grad x.sort()[0].sum() x=1,1;1,1 --each x", 0),
        ("descend x.sort()[0].sum() x=1,1", 0),
        ("descend x.sort()[0][0] x=1,1", 1),
        ("derive x.sort()[0].sum() x=1,1", 0),
        ("plot stack([x,1-x]).sort()[0].sum() x=0,0.5,1", 0),
        ("plot stack([x,1-x]).sort()[0][0] x=0,0.5,1", 1),
    ],
)
def test_a_tie_counts_as_far_as_it_reaches_what_is_differentiated(words: str, kinks: int) -> None:
    assert len(notes_of(*words.split()).get("kink", [])) == kinks


def test_a_distance_from_itself_moves_with_both() -> None:
    x = {"x": torch.tensor([[1.0], [2.0]])}
    assert "kink" not in told("torch.cdist(x, x).sum() + torch.dist(x, x)", x)
    assert "kink" not in told("maximum(x, x).sum() + F.pairwise_distance(x, x, eps=0).sum()", x)
    assert "kink" in told("torch.cdist(x, x.detach()).sum()", x)
    (text,) = told("torch.cdist(x, x).sum()", {"x": torch.tensor([[1.0], [2.0], [1.0]])})["kink"]
    assert text == (
        "cdist has a kink at x[0,0] = 1: PyTorch takes the slope -2 (left -4, right 0); "
        "2 elements are at a kink"
    )


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
@pytest.mark.parametrize("mode", ["", ", 2.0, 'use_mm_for_euclid_dist'"])
def test_a_distance_by_a_matrix_product_has_the_kinks_of_the_distance(
    mode: str, dtype: str
) -> None:
    x, y = torch.randn(30, 3), torch.randn(30, 3)
    y[4] = x[7]
    (text,) = told(f"torch.cdist(x, y{mode})[7, 4]", {"x": x, "y": y}, dtype, wrt="x")["kink"]
    assert text.startswith("cdist has a kink at x[7,0]")
    assert text.endswith("; 3 elements are at a kink")
    assert "kink" not in told(f"torch.cdist(x, y{mode}).sum()", {"x": x, "y": x + 1}, dtype)


def test_an_element_that_a_relu_keeps_at_zero_is_at_no_kink() -> None:
    dead = {"x": torch.tensor([[-1.0, -2.0, -3.0, 4.0]])}
    assert "kink" not in told("nn.MaxPool1d(2)(relu(x)).sum() + relu(x).abs().sum()", dead)
    (text,) = told("nn.MaxPool1d(2)(relu(x + 2)).sum()", dead)["kink"]
    assert text.startswith("relu has a kink")


FED: dict[str, tuple[bool, str]] = {
    "cross_entropy(a, y)": (False, ""),
    "cross_entropy(softmax(a, -1), y)": (True, "softmax"),
    "cross_entropy(softmax(a, -1)[None], y)": (True, "softmax"),
    "cross_entropy(softmax(a, -1).view(1, -1), y)": (True, "softmax"),
    "cross_entropy(log_softmax(a, -1), y)": (False, ""),
    "cross_entropy(sigmoid(a), y)": (False, ""),
    "cross_entropy(3*softmax(a, -1), y)": (False, ""),
    "nll(log_softmax(a, -1), y)": (False, ""),
    "nll(a.softmax(0), y)": (True, "softmax"),
    "nll(softmax(a, -1).log(), y)": (False, ""),
    "bce_with_logits(sigmoid(a), b)": (True, "sigmoid"),
    "bce_with_logits(softmax(a, 0), b)": (False, ""),
    "bce(sigmoid(a), b)": (False, ""),
    "softmax(softmax(a, 0), -1)[0]": (True, "softmax"),
    "softmax(softmax(c, 0), 1)[0, 0]": (False, ""),
    "softmax(softmax(c, 1), -1)[0, 0]": (True, "softmax"),
    "softmax(softmax(c, 1).T, 1)[0, 0]": (False, ""),
    "softmax(softmax(c, 0).T, 1)[0, 0]": (True, "softmax"),
    "softmax(softmax(c, 1).T.clone(), 1)[0, 0]": (False, ""),
    "softmax(softmax(c, 1).clone().movedim(1, 0)[None], 1)[0, 0, 0]": (True, "softmax"),
    "softmax(log_softmax(c, 1).exp().T, 1)[0, 0]": (False, ""),
    "log_softmax(softmax(c, 1).reshape(4), 0)[0]": (False, ""),
    "p = softmax(a, -1); cross_entropy(a, y) + p[0]": (False, ""),
    "cross_entropy(softmax(a, -1).clone(), y)": (True, "softmax"),
    "cross_entropy(softmax(a, -1).float().clamp(1e-7, 1 - 1e-7).double(), y)": (True, "softmax"),
    "nll(1e-8 + softmax(a, -1), y)": (True, "softmax"),
    "bce_with_logits(maximum(sigmoid(a).to(torch.float32), tensor(1e-8)), b.float())": (
        True,
        "sigmoid",
    ),
    "nn.CrossEntropyLoss()(nn.Softmax(-1)(a).clip(min=1e-8), y)": (True, "softmax"),
    "log_softmax(softmax(a, -1), -1)[0]": (True, "softmax"),
    "nll(log_softmax(softmax(a, -1).clone(), -1), y)": (True, "softmax"),
    "log_softmax(softmax(c, 0), 1)[0, 0]": (False, ""),
    "nll(log(softmax(a, -1) + 1e-8), y)": (False, ""),
    "nll((softmax(a, -1) + 1e-8).log().clamp(-100, 0), y)": (False, ""),
    "softmax(softmax(a, -1) + b, -1)[0]": (False, ""),
    "softmax(softmax(a, -1) + 0*a, -1)[0]": (False, ""),
    "softmax(softmax(a, -1).clamp(max=0.3), -1)[0]": (False, ""),
    "cross_entropy(softmax(a, -1) - 1e-8*a, y)": (False, ""),
}


def test_softmax_is_applied_twice_only_where_it_is() -> None:
    inputs = {
        "a": torch.tensor([0.7, 0.2, 0.1]), "b": torch.tensor([0.0, 1.0, 1.0]), "y": torch.tensor(2.0),
        "c": torch.tensor([[0.5, 0.5], [0.1, 0.9]]),
    }  # fmt: skip
    for text, (due, maker) in FED.items():
        given = {name: tensor for name, tensor in inputs.items() if re.search(rf"\b{name}\b", text)}
        found = told(text, given, wrt="a" if "a" in given else "c").get("double-softmax", [])
        assert len(found) == due, (text, found)
        assert not due or f"the output of {maker}" in found[0]


def test_class_indices_are_no_probabilities() -> None:
    for chance in cases(5):
        classes, batch = chance.choice([2, 3, 5]), chance.choice([0, 1, 4])
        z = torch.randn(*((batch, classes) if batch else (classes,)))
        y = torch.randint(classes, (batch,) if batch else ())
        text = chance.choice([
            "cross_entropy(z, y)", "F.cross_entropy(z, target=y)", "nn.CrossEntropyLoss()(z, y)",
            "cross_entropy(z, y, label_smoothing=0.1)", "cross_entropy(z, y, ignore_index=1, reduction='sum')",
        ])  # fmt: skip
        assert not told(text, {"z": z, "y": chance.choice([y, y.double()])}, wrt="z"), (text, z, y)
    assert notes_of("grad", "cross_entropy(z, y)", "z=2,1,0.1", "y=2") == {}
    assert notes_of("grad", "--fn", "cross_entropy", "--x", "2,1,0.1", "--y", "2") == {}
    each = notes_of(
        "grad", "cross_entropy(stack([x, 2*x, 1 - x]), y)", "x=1,2", "y=2", "--each", "x"
    )
    assert each == {}


def _target(chance: random.Random, shape: Sequence[int]) -> Tensor:
    """Numbers that add up to 1 along the rows, along the columns, as a whole, or not at all, some
    of them outside 0 to 1.
    """
    p = torch.rand(*shape, dtype=torch.float64) + 0.01
    dims = chance.choice([(-1,), (0,), tuple(range(len(shape))), ()])
    p = p / p.sum(dims, keepdim=True) if dims else p
    if chance.random() < 0.3:
        p.view(-1)[0] = chance.choice([-0.5, 1.5, torch.nan])
    return p


def _adds_up(p: Tensor, dims: tuple[int, ...] | int) -> bool:
    return bool(((p.sum(dims) - 1).abs() <= 1e-5).all())


def test_targets_that_are_no_probabilities_are_told_and_others_are_not() -> None:
    hits = 0
    for chance in cases(6):
        shape = chance.choice([(3,), (2, 2), (2, 3), (2, 2, 3)])
        p = _target(chance, shape)
        outside = bool(((p < 0) | (p > 1)).any())
        broken = bool(p.isnan().any())  # of which nothing is said here
        a = torch.randn(*shape, dtype=torch.float64)
        anywhere = any(_adds_up(p, dim) for dim in range(p.ndim)) or _adds_up(
            p, tuple(range(p.ndim))
        )
        due = {
            "cross_entropy(a, p)": outside or not _adds_up(p, min(1, p.ndim - 1)),
            "bce_with_logits(a, p)": outside,
            "kl_div(-a.abs(), p)": outside or not anywhere,
            "F.kl_div(-a.abs(), p.log(), reduction='sum', log_target=True)": not anywhere,
            "F.kl_div(-a.abs(), p.log(), None, None, 'sum', True)": not anywhere,
            "nn.KLDivLoss(reduction='sum', log_target=True)(-a.abs(), p.log())": not anywhere,
        }
        text = chance.choice(list(due))
        if broken or ("log()" in text and outside):
            continue
        found = told(text, {"a": a, "p": p}, wrt="a").get("probabilities", [])
        assert bool(found) == due[text], (text, p, found)
        hits += due[text]
    assert 10 < hits < CASES


def test_predictions_that_are_no_logarithms_of_probabilities() -> None:
    for chance in cases(7):
        a = torch.randn(3, dtype=torch.float64) - chance.choice([0, 2])
        for text in ("nll(a, y)", "kl_div(a, softmax(a.detach(), 0))"):
            given = {"a": a, **({"y": torch.tensor(1)} if "y" in text else {})}
            assert ("probabilities" in told(text, given, wrt="a")) == bool((a > 0).any()), (text, a)


def test_shapes_broadcast_where_they_differ() -> None:
    shapes = [(), (1,), (3,), (3, 1), (1, 3), (2, 3)]
    for chance in cases(8):
        pred, target = (torch.rand(chance.choice(shapes), dtype=torch.float64) for _ in range(2))
        try:
            joint = (pred + target).shape
        except RuntimeError:
            continue
        for text, due in {
            "mse(x, y)": pred.shape != target.shape,
            "huber(x, y)": pred.shape != target.shape,
            "poisson_nll(x, y)": joint != pred.shape,
            "l2_norm(x, y)": joint != pred.shape,
            "(x - y).pow(2).sum()": False,
        }.items():
            found = told(text, {"x": pred, "y": target}, wrt="x").get("broadcast", [])
            assert len(found) == due, (text, pred.shape, target.shape, found)
            assert not due or all(
                str(list(shape)) in found[0] for shape in (pred.shape, target.shape, joint)
            )


PIECES = ["log(x)", "sqrt(x)", "1/x", "x**2", "exp(x)", "softmax(stack([x, -inf*x.detach().abs()]), 0)[0]",
          "where(x > 0, sqrt(x), 0)", "sqrt(where(x > 0, x, 0))", "where(x > 5, log(x), x)", "x*0"]  # fmt: skip


def _plainly(text: str, x: Tensor, y: Tensor) -> Tensor:
    names = {"log": torch.log, "sqrt": torch.sqrt, "exp": torch.exp, "softmax": torch.softmax, "stack": torch.stack,
             "where": torch.where, "inf": torch.inf, "x": x, "y": y}  # fmt: skip
    return eval(text, {}, names)  # type: ignore[no-any-return]


def test_not_a_number_is_told_where_one_came_out_and_its_cause_is_on_the_way() -> None:
    """What has nothing to do with a number that is not finite is not a cause of it, though it may not
    be finite itself.
    """
    hits = 0
    for chance in cases(9):
        one, other = chance.choice(PIECES), chance.choice(PIECES).replace("x", "y")
        other = other.replace("eyp", "exp").replace("softmay", "softmax")
        text = f"{one} + {other}"
        x, y = (torch.tensor(chance.choice([-1.0, 0.0, 2.0, 200.0, 1000.0])) for _ in range(2))
        leaves = [tensor.double().requires_grad_() for tensor in (x, y)]
        value = _plainly(text, *leaves)
        slopes = torch.autograd.grad(value, leaves, allow_unused=True)
        bad = [
            not bool(found.isfinite()) for found in (value, *(s for s in slopes if s is not None))
        ]
        found = told(text, {"x": x, "y": y}).get("not-a-number", [])
        assert bool(found) == any(bad), (text, x, y, found)
        hits += any(bad)
        if found and ("came first" in found[0] or "in the backward pass" in found[0]):
            cause = found[0].partition(": ")[2]
            name = cause.removeprefix("in the backward pass, ").split("(")[0].split(" ")[0]
            parts = [
                part
                for part, leaf in ((one, leaves[0]), (other, leaves[1]))
                if not bool(_plainly(part, *leaves).isfinite())
                or not bool(torch.autograd.grad(_plainly(part, *leaves), leaf)[0].isfinite())
            ]
            assert any(name in part for part in parts) or cause[0] in "1-", (
                text,
                x,
                y,
                found,
                parts,
            )
    assert 10 < hits < CASES


def test_the_dtype_is_blamed_only_where_it_is_to_blame() -> None:
    cases = {
        ("exp(x)", "100"): "the largest", ("log(exp(x))", "-200"): "too small", ("1/(x - 0.1)", "0.1"): "", ("log(x)", "0"): "",
        ("1/exp(x)", "-200"): "the largest",
    }  # fmt: skip
    for (text, x), blamed in cases.items():
        (found,) = told(text, {"x": torch.tensor(float(x))}, "float32")["not-a-number"]
        assert ("the largest" in found, "too small" in found) == (
            blamed == "the largest",
            blamed == "too small",
        ), found


ROLES: dict[str, str] = {
    "used": "", "times zero": "", "absent": "unused-input", "dropped": "unused-input", "unpacked": "unused-input",
    "detached": "no-derivative", "compared": "no-derivative", "counted": "no-derivative", "shape": "unused-input",
}  # fmt: skip
LINES = {
    "used": ("", "{x}**2"), "times zero": ("", "0*{x}"), "absent": ("", "1"), "dropped": ("h = 3*{x}", "1"),
    "unpacked": ("h, k = 3*{x}, 2", "k"), "detached": ("h = {x}.detach()", "h*2"), "compared": ("", "({x} > 0).double()"),
    "counted": ("", "torch.norm({x}, 0)"), "shape": ("", "2*{x}.numel()"),
}  # fmt: skip


def test_what_does_not_lead_to_the_result_and_what_autograd_does_not_follow_are_told_apart() -> (
    None
):
    for chance in cases(10):
        roles = {name: chance.choice(list(ROLES)) for name in ("x", "y")}
        lines = [LINES[role][0].format(x=name) for name, role in roles.items()]
        total = " + ".join(["z", *(LINES[role][1].format(x=name) for name, role in roles.items())])
        text = "; ".join([*filter(None, lines), total]).replace("h, k = 3*y, 2", "i, j = 3*y, 2")
        if roles["y"] == "unpacked":
            text = text.removesuffix("k") + "j"
        elif lines[0] and lines[1]:
            text = text.replace("h = 3*y", "i = 3*y").replace("h = y.detach()", "i = y.detach()")
            text = text.removesuffix("h*2") + "i*2" if roles["y"] == "detached" else text
        found = told(text, dict.fromkeys("xyz", torch.tensor(2.0)))
        for name, role in roles.items():
            for code in ("unused-input", "no-derivative"):
                due = ROLES[role] == code
                assert any(f" {name}" in said for said in found.get(code, [])) == due, (
                    text,
                    code,
                    found,
                )


@pytest.mark.parametrize(
    ("text", "bound"),
    [
        ("h = 2*x; h = h + 1; h**2", {"h": 2}),
        ("h = 2*x; h += 1; h *= 3; h", {"h": 3}),
        ("h = 2*x; k = h; k**2", {}),
        ("n = 2; n = 3; n*x", {}),  # plain numbers, which are not steps
        ("a, b = x, 2*x; a, b = b, a; a*b", {"a": 2, "b": 2}),
        ("h = 2*x; h = 3*x", {"h": 2}),
    ],
)
def test_a_step_that_is_bound_again_is_told(text: str, bound: dict[str, int]) -> None:
    found = told(text, {"x": torch.tensor(1.5)}).get("rebound", [])
    assert [said.split(",")[0] for said in found] == [
        f"{name} is assigned {count} times" for name, count in bound.items()
    ]


def test_the_upstream_gradient_that_was_drawn_is_shown() -> None:
    torch.manual_seed(3)
    x, upstream = torch.randn(2), torch.randn(2, 2)
    words = ("grad", "outer(x, x)", "x=randn(2)", "--seed", "3", "--vjp")
    ran = run(*words, "randn(2,2)", "--json").json
    (note,) = [note["text"] for note in ran["notes"] if note["code"] == "upstream"]
    drawn = note.rpartition(" ")[2]
    assert torch.equal(torch.tensor(eval(drawn)), upstream)
    assert run(*words, drawn, "--json").json["gradients"] == ran["gradients"]
    leaf = x.requires_grad_()
    exact = torch.autograd.grad((torch.outer(leaf, leaf) * upstream).sum(), leaf)[0]
    assert ran["gradients"]["x"] == pytest.approx(exact.tolist(), rel=1e-5)
    table = run(*words, "randn(2,2)").stdout
    assert "upstream" in table
    assert all(f"{number:.4g}"[:5] in table for number in upstream.view(-1).tolist())
    assert "upstream" in run("grad", "x**2", "x=3", "--vjp", "2").stdout
    assert notes_of("grad", "2*x", "x=1,2", "--vjp", "1,2") == {}
    assert (
        "100 random numbers"
        in notes_of("grad", "2*x", "x=zeros(100)", "--vjp", "-rand(100)")["upstream"][0]
    )
    assert "upstream" not in run("grad", "2*x", "x=1,2", "--row", "1").stdout


@pytest.mark.parametrize(
    ("code", "given", "not_given"),
    [
        ("integer-input", "x*y x=1 y=tensor(2) --wrt x,y", "x*y x=1 y=tensor(2)"),
        (
            "softmax-dim",
            "softmax(x)[0] x=1,2",
            "softmax(x,-1)[0]+nn.Softmax(0)(x)[0]+x.softmax(dim=0)[0] x=1,2",
        ),
        (
            "complex-step",
            "h=torch.fft.fft(x);h.abs().sum() x=1,2",
            "h=torch.fft.fft(x).abs();h.sum() x=1,2",
        ),
        ("pytorch", "x.std() x=1,", "x.std() x=1,2"),
    ],
)
def test_notes_on_what_was_given(code: str, given: str, not_given: str) -> None:
    assert code in notes_of("grad", *given.split(" "))
    assert code not in notes_of("grad", *not_given.split(" "))


def test_notes_on_whole_commands() -> None:
    assert "diagonal" in notes_of("activate", "softmax", "--x", "1,2")
    assert "diagonal" not in notes_of("activate", "tanh", "--x", "1,2")
    assert "no-derivative" in notes_of("activate", "step", "--x", "1")
    assert "no-derivative" not in notes_of("activate", "relu", "--x", "1")
    lost = run("flow", "sigmoid", "--layers", "60", "--width", "2", "--json").json
    zeros = sum(row["gradient_norm"] == 0 for row in lost["layers"])
    assert [note["code"] for note in lost["notes"]] == ["vanishing"] * (zeros > 0)
    assert notes_of("flow", "tanh", "--layers", "5") == {}
    for command in ("hessian", "jacobian"):
        assert "unused-input" in notes_of(command, "h = 3*y; x**2", "x=1", "y=2")
        assert "unused-input" not in notes_of(command, "x**2 + 0*y", "x=1", "y=2")
    assert "no-derivative" in notes_of("jacobian", "x.detach()*y", "x=1", "y=2")
