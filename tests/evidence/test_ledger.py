"""The ledger: every product is what autograd passed on, the last lines are the gradients, and a
pencil can follow it.
"""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from gradcli import core
from gradcli.catalogue import derivative_rules as rules
from gradcli.evaluate.job import Job
from gradcli.evaluate.machine import evaluate
from gradcli.evidence.explain.ledger import ledger
from gradcli.evidence.explain.local_rules import close
from gradcli.language.expressions.expression import parse
from gradcli.language.expressions.substitution import substituted
from gradcli.language.source import Source
from gradcli.options.shared import ComputeOptions
from gradcli.results import LedgerRow, Subject
from tests.choice import rare
from tests.program import run

EPS = torch.finfo(torch.float64).eps


pytestmark = pytest.mark.usefixtures("double")


def explain(
    text: str, *, upstream: Tensor | None = None, by: tuple[str, ...] = (), **inputs: Any
) -> list[LedgerRow]:
    """The ledger of an expression in float64."""
    tensors = {name: torch.as_tensor(value) for name, value in inputs.items()}
    floating = tuple(name for name, tensor in tensors.items() if tensor.is_floating_point())
    job = Job(ComputeOptions(dtype="float64"), lambda: "")
    return ledger(Subject("", text, tensors, by or floating, upstream), job)


def numbers(tensor: Tensor | str | None) -> Any:
    return tensor.tolist() if isinstance(tensor, Tensor) else tensor


def steps(rows: list[LedgerRow]) -> dict[str, LedgerRow]:
    """The rows of operations and paths, by what they do."""
    return {row.operation: row for row in rows if row.operation not in ("input", "gradient")}


def gradients(rows: list[LedgerRow]) -> dict[str, Any]:
    return {row.name: numbers(row.product) for row in rows if row.operation == "gradient"}


# --- the property: against a second computation that is PyTorch's alone -------------------------


@dataclass
class Recorder:
    """What the test's own run used: for each operation a zero taken from each operand, minus the
    gradient by which is the path's. (A zero that was added would make -0 to 0.)
    """

    operations: list[tuple[str, list[Tensor]]] = field(default_factory=list)

    def apply(self, label: str, compute: Callable[..., Tensor], values: list[Tensor]) -> Tensor:
        zeros = [
            torch.zeros_like(value, requires_grad=True) if value.requires_grad else None
            for value in values
        ]
        result = compute(
            *(
                value if zero is None else value - zero
                for value, zero in zip(values, zeros, strict=True)
            )
        )
        self.operations.append((label, [zero for zero in zeros if zero is not None]))
        return result


@dataclass
class Node:
    """A random expression: its text, its shape, and the test's own way to compute it."""

    text: str
    shape: tuple[int, ...]
    compute: Callable[[dict[str, Tensor], Recorder], Tensor]


def operation(label: str, text: str, compute: Callable[..., Tensor], *children: Node) -> Node:
    def run_it(values: dict[str, Tensor], recorder: Recorder) -> Tensor:
        return recorder.apply(
            label, compute, [child.compute(values, recorder) for child in children]
        )

    shape = compute(*(torch.zeros(child.shape) for child in children)).shape
    return Node(text.format(*(child.text for child in children)), tuple(shape), run_it)


Form: TypeAlias = tuple[str, Callable[..., Tensor]]
"""How an operation is typed, and PyTorch's own function."""

UNARY: dict[str, Form] = {
    "exp": ("exp({})", torch.exp),
    "tanh": ("torch.tanh({})", torch.tanh),
    "sigmoid": ("({}).sigmoid()", torch.sigmoid),
    "relu": ("relu({})", torch.relu),
    "neg": ("(-{})", torch.neg),
    "log": ("log({})", torch.log),
    "**": ("({})**2", lambda a: a**2),
    "sum": ("sum({})", torch.sum),
    "mean": ("({}).mean()", torch.mean),
}
ON_ROWS: dict[str, Form] = {
    "softmax": ("softmax({}, -1)", lambda a: torch.softmax(a, -1)),
    "sum": ("({}).sum(-1)", lambda a: a.sum(-1)),
    "mean": ("({}).mean(0)", lambda a: a.mean(0)),
    "index": ("({})[1]", lambda a: a[1]),
    "T": ("({}).T", lambda a: a.T if a.ndim > 1 else a),
}
MASK = torch.tensor([1, 0, 1])
BINARY: dict[str, Form] = {
    "+": ("({} + {})", torch.add),
    "-": ("({} - {})", torch.sub),
    "*": ("({}*{})", torch.mul),
    "/": ("({}/{})", torch.div),
    "@": ("({} @ {})", torch.matmul),
    "stack": ("stack([{}, {}])", lambda a, b: torch.stack([a, b])),
    "where": ("where(m > 0, {}, {})", lambda a, b: torch.where(MASK > 0, a, b)),
}
SHAPES = [(), (3,), (2, 3), (3, 3), (3, 2)]


@st.composite
def expressions(draw: st.DrawFn, known: dict[str, tuple[int, ...]], depth: int) -> Node:
    """A random expression over the known names."""
    if not depth or draw(st.integers(0, 5)) == 0:
        name = draw(st.sampled_from(sorted(known)))
        return Node(name, known[name], lambda values, recorder: values[name])
    first = draw(expressions(known, depth - 1))
    if draw(st.booleans()):
        second = draw(expressions(known, depth - 1))
        if fitting := [
            label for label, (_, compute) in BINARY.items() if fits(compute, first, second)
        ]:
            label = draw(st.sampled_from(fitting))
            return operation(label, *BINARY[label], first, second)
    along = ON_ROWS.items() if first.shape and first.shape[0] > 1 else ()
    label, form = draw(st.sampled_from([*UNARY.items(), *along]))
    return operation(label, *form, first)


def fits(compute: Callable[..., Tensor], *operands: Node) -> bool:
    try:
        return compute(*(torch.zeros(operand.shape) for operand in operands)).ndim < 3
    except (RuntimeError, IndexError):
        return False


@dataclass
class Program:
    """Random statements over random inputs; names may be bound again, inputs too, and used often or
    never.
    """

    statements: list[tuple[str, Node]]
    result: Node
    inputs: dict[str, Tensor]

    @property
    def text(self) -> str:
        return "; ".join(
            [*(f"{name} = {node.text}" for name, node in self.statements), self.result.text]
        )

    def compute(self, inputs: dict[str, Tensor], recorder: Recorder) -> Tensor:
        values = dict(inputs)
        for name, node in self.statements:
            values[name] = node.compute(values, recorder)
        return self.result.compute(values, recorder)


@st.composite
def programs(draw: st.DrawFn) -> Program:
    known = {name: draw(st.sampled_from(SHAPES)) for name in ("x", "w", "b")}
    generator = torch.Generator().manual_seed(draw(st.integers(0, 999)))
    inputs = {
        name: torch.randn(shape, generator=generator, dtype=torch.float64)
        for name, shape in known.items()
    }
    statements = []
    for _ in range(draw(st.integers(0, 3))):
        node = draw(expressions(known, 2))
        name = draw(st.sampled_from(["h", "g", "x"]))
        statements.append((name, node))
        known = {**known, name: node.shape}
    whole = draw(expressions(known, 3))
    label = draw(st.sampled_from(["sum", "mean"]))
    return Program(statements, operation(label, *UNARY[label], whole), inputs)


@pytest.mark.parametrize("count", [30, rare(500)])
def test_every_product_is_what_autograd_passed_on(count: int) -> None:
    settings(max_examples=count, derandomize=True, suppress_health_check=list(HealthCheck))(
        given(programs())(products_are_autograds)
    )()


def products_are_autograds(program: Program) -> None:
    wanted, _ = plain(program, ("x", "w", "b"))
    by = tuple(name for name, gradient in wanted.items() if gradient is not None)
    _, paths = plain(program, by)
    rows = explain(program.text, by=by, **program.inputs, m=MASK)
    assert [row.name for row in rows if row.operation == "input"] == ["x", "w", "b", "m"]
    for row in rows:
        check_local(row)
    mine = [row for row in rows if " -> " in row.operation]
    theirs = [(label, product) for label, products in reversed(paths) for product in products]
    assert [row.operation.partition(" -> ")[0] for row in mine] == [label for label, _ in theirs]
    for row, (_, product) in zip(mine, theirs, strict=True):
        assert_same(row.product, product)
    for row in rows:
        if row.operation == "gradient":
            assert_same(row.product, wanted[row.name])
    assert [row.name for row in rows if row.operation == "gradient"] == list(by)


def plain(
    program: Program, by: tuple[str, ...]
) -> tuple[dict[str, Tensor | None], list[tuple[str, list[Tensor | None]]]]:
    """PyTorch's gradients by these inputs, and for each operation what it passed on to each operand
    that records.
    """
    live = {
        name: tensor.clone().requires_grad_(name in by) for name, tensor in program.inputs.items()
    }
    recorder = Recorder()
    value = program.compute(live, recorder)
    zeros = [zero for _, operands in recorder.operations for zero in operands]
    if not value.requires_grad:
        return {}, []
    found: tuple[Tensor | None, ...] = torch.autograd.grad(
        value, [*(live[name] for name in by), *zeros], allow_unused=True
    )
    passed = iter(found[len(by) :])
    paths = [
        (label, [None if (path := next(passed)) is None else -path for _ in operands])
        for label, operands in recorder.operations
    ]
    return dict(zip(by, found, strict=False)), paths


def check_local(row: LedgerRow) -> None:
    """Where the local derivative is a tensor, upstream * local, summed over what was broadcast, is
    the product.
    """
    if isinstance(row.local, Tensor) and row.upstream is not None and row.product is not None:
        terms = (
            row.upstream.reshape(()) * row.local
            if row.upstream.numel() == 1
            else row.upstream * row.local
        )
        assert_same(terms.sum_to_size(row.product.shape), row.product)
    if row.paths:
        assert_same(sum(row.paths), row.product if row.operation == "gradient" else row.upstream)


def assert_same(mine: Any, theirs: Any) -> None:
    assert (mine is None) == (theirs is None)
    if mine is not None:
        torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-9, equal_nan=True)


# --- worked by hand -----------------------------------------------------------------------------


@pytest.mark.smoke
def test_the_lectures_case() -> None:
    rows = run("grad", "--fn", "mse", "--x", "1", "--w", "2", "--explain", "--json").json["ledger"]
    lines = [list(row.values()) for row in rows]
    assert all(
        list(row) == ["name", "operation", "value", "local", "upstream", "product", "rule"]
        for row in rows
    )
    assert lines == [
        ["x", "input", 1, None, None, None, None],
        ["w", "input", 2, None, None, None, None],
        ["b", "input", 0, None, None, None, None],
        ["y", "input", 1, None, None, None, None],
        ["mse(x*w + b, y)", "mse -> x*w + b", 1, 2, 1, 2, "2*(x*w + b - y)"],
        ["x*w + b", "+ -> x*w", 2, 1, 2, 2, "1"],
        ["x*w", "* -> x", 2, 2, 2, 4, "w"],
        ["x*w", "* -> w", 2, 1, 2, 2, "x"],
        ["x", "gradient", None, None, None, 4, None],
        ["w", "gradient", None, None, None, 2, None],
    ]


def test_the_sigmoid_neuron_of_cs231n() -> None:
    """f = 1/(1 + exp(-(w0*x0 + w1*x1 + w2))), gate by gate, with the course's two digits."""
    rows = explain(
        "q = w0*x0 + w1*x1 + w2; n = -q; e = exp(n); d = 1 + e; f = 1/d",
        w0=2.0,
        x0=-1.0,
        w1=-3.0,
        x1=-2.0,
        w2=-3.0,
    )
    found = steps(rows)
    assert [round(numbers(found[key].value), 2) for key in ("neg -> q", "exp -> n", "+ -> e", "/ -> d")] == [
        -1.0, 0.37, 1.37, 0.73,
    ]  # fmt: skip
    assert [round(numbers(found[key].product), 2) for key in ("/ -> d", "+ -> e", "exp -> n", "neg -> q")] == [
        -0.53, -0.53, -0.2, 0.2,
    ]  # fmt: skip
    assert found["exp -> n"].rule == "exp(n)"
    assert found["/ -> d"].rule == "-1/d**2"
    assert {name: round(value, 2) for name, value in gradients(rows).items()} == {
        "w0": -0.2, "x0": 0.39, "w1": -0.39, "x1": -0.59, "w2": 0.2,
    }  # fmt: skip


def test_where_paths_join_their_sum_is_written_out() -> None:
    rows = explain("x*x + x", x=3.0)
    assert [(row.operation, numbers(row.product)) for row in rows if " -> " in row.operation] == [
        ("+ -> x*x", 1.0),
        ("+ -> x", 1.0),
        ("* -> x (1st)", 3.0),
        ("* -> x (2nd)", 3.0),
    ]
    assert [numbers(path) for path in rows[-1].paths or ()] == [3.0, 3.0, 1.0]
    assert "3 + 3 + 1 = 7" in run("grad", "x*x + x", "x=3", "--explain").stdout
    inside = run("grad", "h = 2*x; h*h - h", "x=3", "--explain").stdout
    assert "upstream = 6 + 6 + (-1) = 11" in inside


def test_a_bias_broadcast_over_a_batch_gathers_its_gradient() -> None:
    rows = explain(
        "mse(X @ w + b, y)", X=[[1.0, 2.0], [3.0, 4.0]], w=[1.0, 1.0], b=0.5, y=[3.0, 9.0]
    )
    found = steps(rows)
    assert numbers(found["mse -> X @ w + b"].product) == [0.5, -1.5]
    assert numbers(found["+ -> b"].local) == [1.0, 1.0]
    assert numbers(found["+ -> b"].product) == -1.0
    assert numbers(found["@ -> w"].product) == [-4.0, -5.0]
    assert found["@ -> w"].local == "dL/dw = X^T @ upstream: [2, 2] @ [2, 1] = [2, 1]"
    assert found["@ -> X"].local == "dL/dX = upstream @ w^T: [2, 1] @ [1, 2] = [2, 2]"


@pytest.mark.parametrize(
    ("text", "left", "right", "rules"),
    [
        ("W @ x", (2, 3), (3,), ("upstream @ x^T: [2, 1] @ [1, 3] = [2, 3]", "W^T @ upstream: [3, 2] @ [2, 1] = [3, 1]")),
        ("W @ x", (3,), (3, 2), ("upstream @ x^T: [1, 2] @ [2, 3] = [1, 3]", "W^T @ upstream: [3, 1] @ [1, 2] = [3, 2]")),
        ("torch.mm(W, x)", (2, 3), (3, 4),
         ("upstream @ x^T: [2, 4] @ [4, 3] = [2, 3]", "W^T @ upstream: [3, 2] @ [2, 4] = [3, 4]")),
        ("torch.mv(W, x)", (2, 3), (3,),
         ("upstream @ x^T: [2, 1] @ [1, 3] = [2, 3]", "W^T @ upstream: [3, 2] @ [2, 1] = [3, 1]")),
        ("torch.bmm(W, x)", (5, 2, 3), (5, 3, 4),
         ("upstream @ x^T: [5, 2, 4] @ [5, 4, 3] = [5, 2, 3]", "W^T @ upstream: [5, 3, 2] @ [5, 2, 4] = [5, 3, 4]")),
        ("W @ x", (5, 2, 3), (3, 4),
         ("upstream @ x^T: [5, 2, 4] @ [4, 3] = [5, 2, 3]",
          "W^T @ upstream: [5, 3, 2] @ [5, 2, 4] = [5, 3, 4], summed to [3, 4]")),
    ],
)  # fmt: skip
def test_matrix_products_show_their_rule_in_shapes(
    text: str, left: tuple[int, ...], right: tuple[int, ...], rules: tuple[str, str]
) -> None:
    rows = explain(f"({text}).sum()", W=torch.ones(left).double(), x=torch.ones(right).double())
    names = "Wx"
    found = [
        row.local
        for row in rows
        if row.operation.partition(" -> ")[2] in names and " -> " in row.operation
    ]
    assert found == [f"dL/d{name} = {rule}" for name, rule in zip(names, rules, strict=True)]


@pytest.mark.parametrize(
    ("a", "b"),
    [((3,), (3, 2)), ((2, 3), (3,)), ((2, 3), (3, 4)), ((5, 2, 3), (3, 4)), ((2, 3), (5, 3, 4)), ((5, 2, 3), (5, 3, 4)),
     ((1, 2, 3), (5, 3, 4)), ((5, 2, 3), (3,))],
)  # fmt: skip
def test_the_shapes_in_the_rule_of_a_matrix_product_are_those_of_the_products(
    a: tuple[int, ...], b: tuple[int, ...]
) -> None:
    inputs: dict[str, Any] = {"a": torch.ones(a), "b": torch.ones(b)}
    found = steps(explain("(a @ b).sum()", **inputs))
    for name, rule in (("a", "upstream @ b^T"), ("b", "a^T @ upstream")):
        local = str(found[f"@ -> {name}"].local)
        head, shapes = local.split(": ")
        assert head == f"dL/d{name} = {rule}"
        made, *summed = shapes.split(" = ")[1].split(", summed to ")
        left, right, product, operand = (
            json.loads(text)
            for text in (*shapes.split(" = ")[0].split(" @ "), made, [made, *summed][-1])
        )
        assert list((torch.ones(left) @ torch.ones(right)).shape) == product
        assert math.prod(operand) == inputs[name].numel()
        assert [size for size in operand if size > 1] == [
            size for size in inputs[name].shape if size > 1
        ]
        assert bool(summed) == (operand != product)


def test_a_product_of_two_vectors_has_a_local_derivative() -> None:
    found = steps(explain("w @ x", w=[1.0, 2.0], x=[3.0, 4.0]))
    assert numbers(found["@ -> w"].local) == [3.0, 4.0]
    assert found["@ -> w"].rule == "x"


def test_the_perceptrons_chain() -> None:
    """dE/dw_j = (O - t) O (1 - O) x_j, factor by factor."""
    x, w, b, t = [1.0, 0.5], [0.3, -0.2], 0.1, 1.0
    z = w[0] * x[0] + w[1] * x[1] + b
    output = 1 / (1 + math.exp(-z))
    words = ("--x", "1,0.5", "--w", "0.3,-0.2", "--b", "0.1", "--target", "1", "--dtype", "float64")
    found = run("perceptron", *words, "--explain", "--json").json
    rows = {row["operation"]: row for row in found["ledger"] if row["operation"] != "input"}
    assert rows["half_sse -> O"]["product"] == pytest.approx(output - t)
    assert rows["sigmoid -> z"]["local"] == pytest.approx(output * (1 - output))
    assert rows["sigmoid -> z"]["product"] == pytest.approx((output - t) * output * (1 - output))
    assert rows["@ -> w"]["local"] == x
    assert rows["@ -> w"]["product"] == pytest.approx(
        [(output - t) * output * (1 - output) * each for each in x]
    )
    last = {
        row["name"]: row["product"] for row in found["ledger"] if row["operation"] == "gradient"
    }
    assert last == found["gradients"]


def test_the_perceptron_says_which_index_the_lecture_means() -> None:
    several = run(
        "perceptron", "--x", "1,0.5", "--w", "1,2;3,4", "--target", "1,0", "--explain"
    ).stdout
    assert "the lecture's w_jk, from input j to output k, is w[k][j] here" in several
    assert (
        "w_jk"
        not in run("perceptron", "--x", "1,0.5", "--w", "1,2", "--target", "1", "--explain").stdout
    )


def test_activations_and_losses_side_by_side_have_a_ledger_each() -> None:
    rows = run("activate", "sigmoid", "relu", "--x", "0,2", "--explain", "--json").json["ledger"]
    assert [(row["name"], row["operation"]) for row in rows] == [
        ("sigmoid: x", "input"), ("sigmoid: sigmoid(x)", "sigmoid -> x"), ("sigmoid: x", "gradient"),
        ("relu: x", "input"), ("relu: relu(x)", "relu -> x"), ("relu: x", "gradient"),
    ]  # fmt: skip
    assert rows[1]["local"][0] == rows[2]["product"][0] == 0.25
    shown = run("loss", "mse", "sse", "--pred", "1,2,3", "--target", "0,0,0", "--explain").stdout
    assert "2*(pred - target)/3" in shown
    assert "2*(pred - target) " in shown
    assert "not the diagonal above" in run("activate", "softmax", "--x", "1,2", "--explain").stdout


# --- what is not elementwise --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "operation", "local"),
    [
        ("x[1]", "index -> x", "upstream at the chosen elements, 0 elsewhere: [] -> [3]"),
        ("x[tensor([0, 0, 1])][0]", "index -> x", f"{rules.MOVES['index by numbers']}: [3] -> [3]"),
        ("x[[0, 0]][0]", "index -> x", f"{rules.MOVES['index by numbers']}: [2] -> [3]"),
        ("x[x > 1][0]", "index -> x", "upstream at the chosen elements, 0 elsewhere: [2] -> [3]"),
        ("x.take(tensor([0, 0]))[0]", "take -> x", f"{rules.MOVES['index by numbers']}: [2] -> [3]"),
        ("x.flip(0)[0]", "flip -> x", "upstream with each element back in its place: [3] -> [3]"),
        ("x.diag()[0, 0]", "diag -> x", "the diagonal of upstream: [3, 3] -> [3]"),
        ("x.T.sum()", "T -> x", "upstream with its dimensions in the operand's order: [3] -> [3]"),
        ("x.reshape(3, 1).sum()", "reshape -> x", "upstream in the operand's shape: [3, 1] -> [3]"),
        ("stack([x, x]).sum(0)[0]", "stack -> x (1st)", "the part of upstream for this operand: [2, 3] -> [3]"),
        ("x.expand(2, 3).sum()", "expand -> x", "upstream, summed over the repeats: [2, 3] -> [3]"),
        ("(x*ones(2, 3)).sum(0)[0]", "sum -> x*ones(2, 3)",
         "upstream, repeated along the summed dimension: [3] -> [2, 3]"),
        ("softmax(x)[0]", "softmax -> x", "p * (upstream - sum(upstream * p)): [3] -> [3]"),
        ("A = torch.outer(x, x) + torch.eye(3); torch.linalg.pinv(A).sum()", "pinv -> A", "vjp of pinv: [3, 3] -> [3, 3]"),
        ("x.detach().sum() + x.sum()", "detach -> x", "no gradient passes"),
        ("h = x*x; x.sum()", "* -> x (1st)", "the result does not use it"),
    ],
)  # fmt: skip
def test_rules_in_words(text: str, operation: str, local: str) -> None:
    assert steps(explain(text, x=[1.0, 2.0, 4.0]))[operation].local == local


def test_the_rule_of_softmax_gives_its_product() -> None:
    row = steps(explain("softmax(x)[0] + 3*softmax(x)[2]", x=[1.0, 2.0, 4.0]))["softmax -> x"]
    p, upstream = row.value, row.upstream
    assert isinstance(p, Tensor)
    assert isinstance(upstream, Tensor)
    assert_same(row.product, p * (upstream - (upstream * p).sum()))


def test_an_elementwise_operation_that_no_table_knows_has_its_slope_in_numbers() -> None:
    x = torch.tensor([0.5, 1.0, 2.0])
    row = steps(explain("(torch.special.i0(x)*x).sum()", x=x))["i0 -> x"]
    assert isinstance(row.local, Tensor)
    assert_same(row.local, torch.special.i1(x))
    assert_same(row.product, torch.special.i1(x) * x)


def test_an_operation_that_looks_elementwise_by_accident_is_not_called_so() -> None:
    """With an upstream of ones softmin passes 0 on, as an elementwise operation of slope 0
    would.
    """
    rows = explain("torch.logcumsumexp(x, 0).sum() + F.softmin(x, 0).sum()", x=[1.0, 2.0, 3.0])
    assert isinstance(steps(rows)["softmin -> x"].local, str)
    assert isinstance(steps(rows)["logcumsumexp -> x"].local, str)


TABLE = {**rules.WHOLE, **rules.FORMULAS}
OF_MATRICES = {"mm", "mv", "bmm"}
"""Synonyms of @ that take no vectors; they are above, with the shapes in their rules."""


@pytest.mark.parametrize(
    "name",
    [
        *TABLE,
        *(name for name, of in rules.SYNONYMS.items() if of in TABLE and name not in OF_MATRICES),
    ],
)
def test_formulas_are_the_derivatives(name: str) -> None:
    """Every formula of the table, computed as an expression, is PyTorch's derivative by that
    operand; a synonym has those of the operation that it names.
    """
    table = TABLE[rules.SYNONYMS.get(name, name)]
    extra = ", 0" if name == "logsumexp" else ""
    small = rules.SYNONYMS.get(name, name) in ("asin", "acos", "atanh", "logit")
    inputs = {
        "a": torch.tensor([0.3, 0.6, 0.7]),
        "b": torch.tensor([0.5, 1.7, 2.3]),
        "y": torch.zeros(()),
    }
    inputs = {key: value.double() for key, value in inputs.items()}
    if not small:
        inputs["a"] = inputs["a"] * 3 + 0.17
    operands = ["a", "b"][: len(table)]
    function = {"vecdot": "linalg.vecdot", "vector_norm": "linalg.vector_norm"}.get(name, name)
    if name in rules.SYNONYMS:
        function = f"torch.{function}"
    call = {"neg": "-a"}.get(name) or (
        f"{function}({', '.join(operands)}{extra})"
        if name.replace("_", "").isalnum()
        else f"a {name} b"
    )
    live = core.require_grad(inputs, operands)
    value = evaluate(parse(Source(call), tuple(inputs)), live).value
    found = torch.autograd.grad(value.sum(), [live[operand] for operand in operands])
    given = {**inputs, "y": value.detach()}
    for formula, slope in zip(table, found, strict=True):
        text = substituted(formula, {"n": 3})
        computed = evaluate(parse(Source(text), tuple(given)), given).value
        assert_same(computed.to(slope).expand_as(slope), slope)


@pytest.mark.parametrize(
    ("text", "formula"),
    [
        ("x**3", "3*x**2"),
        ("2**x", "2**x*log(2)"),
        ("5 - x", "-1"),
        ("x/4", "1/4"),
        ("F.leaky_relu(x, 0.2)", "where(x > 0, 1.0, 0.2)"),
        ("F.leaky_relu(x, negative_slope=0.3)", "where(x > 0, 1.0, 0.3)"),
        ("nn.LeakyReLU(0.4)(x)", "where(x > 0, 1.0, 0.4)"),
        ("gelu(x)", "0.5*(1 + erf(x/2**0.5)) + x*exp(-x**2/2)/(2*pi)**0.5"),
        ("mse(x, y)", "2*(x - y)"),
        ("nn.MSELoss(reduction='sum')(x, y)", "2*(x - y)"),
        ("l1(2*x, y)", "sign(2*x - y)"),
        ("F.nll_loss(stack([x, x]), c)", "-one_hot(c, 2)"),
        ("cross_entropy(stack([x, x]), c)", "softmax(stack([x, x]), -1) - one_hot(c, 2)"),
        ("torch.fmax(x, y)", "1 where it is the larger or at a tie, else 0"),
        ("(x*w).median()", "1 at the median, split among ties, else 0"),
        (
            "F.margin_ranking_loss(x*w, w, w, reduction='sum')",
            f"-target where the loss is above 0, else 0{rules.AVERAGED}",
        ),
        ("nn.GaussianNLLLoss(reduction='sum')(x*w, w, w)", f"(input - target)/var{rules.AVERAGED}"),
        (
            "F.triplet_margin_loss((x*w)[None], w[None], w[None], swap=True)",
            "d triplet_margin_loss / d operand, element by element",
        ),
        ("maximum(x, y)", "1 where it is the larger, 1/2 at a tie, else 0"),
        ("torch.max(x, y)", "1 where it is the larger, 1/2 at a tie, else 0"),
        ("torch.add(x, y, alpha=3)", "1"),
        ("F.mse_loss(x, y, weight=y)", "d mse_loss / d operand, element by element"),
        ("huber(x, y, delta=0.1)", "clamp(x - y, -0.1, 0.1)"),
        ("F.smooth_l1_loss(x, y, beta=0.5)", "where(abs(x - y) < 0.5, (x - y)/0.5, sign(x - y))"),
        ("elu(x, 0.5)", "where(x > 0, 1.0, 0.5*exp(x))"),
        ("F.softplus(x, beta=2)", "where(2*x > 20.0, 1.0, sigmoid(2*x))"),
        ("half_sse(x, y)", "x - y"),
        ("l2_norm(x*w, w)", "(x*w - w)/sqrt(sum((x*w - w)**2))"),
        ("l2_norm(w, x*w)", "(x*w - w)/sqrt(sum((w - x*w)**2))"),
        ("mse(x*w, w)", "2*(x*w - w)/2"),
        ("mse(w, x*w)", "2*(x*w - w)/2"),
        ("sse(y, x)", "2*(x - y)"),
        ("soft_margin(x*w, w)", "-w*sigmoid(-w*(x*w))/2"),
        (
            "F.cross_entropy(stack([x, x*y])[None], c[None], reduction='sum')",
            "softmax(v1, -1) - one_hot(c[None], 2)",
        ),
        ("torch.std(x*w)", "(x*w - mean(x*w))/torch.std(x*w)"),
        ("torch.norm(x*w, 2)", "x*w/torch.norm(x*w, 2)"),
        ("torch.norm(x*w, 3)", "upstream*sign(operand)*(abs(operand)/result)**(3 - 1)"),
        ("torch.var(x*w, correction=0)", "upstream*2*(operand - mean(operand))/(n - 0)"),
        ("torch.sum(x*w, 0)", "1"),
        ("(x*w).mean()", "1/2"),
        ("torch.max(x*w)", "1 at the largest, split among ties"),
        ("(x*w).min()", "1 at the smallest, split among ties"),
        ("min(x, y)", "1 where it is the smaller, 1/2 at a tie, else 0"),
        ("x*w @ w", "w"),
        ("F.gelu(x, approximate='tanh')", rules.RULES["gelu"]["input"]),
        ("F.leaky_relu(x, y)", "d leaky_relu / d operand, element by element"),
        ("l1(x, y*w)", "d l1_loss / d operand, element by element"),
        ("F.kl_div(x*w, w, reduction='batchmean')", "-w/2"),
        (
            "F.kl_div(stack([x*w, x*w, x*w]), stack([w, w, w]), reduction='batchmean')",
            "-stack([w, w, w])/3",
        ),
        (
            "cross_entropy(x*w, c, label_smoothing=0.1)",
            "0.9*(softmax(x*w, -1) - one_hot(c, 2)) + 0.1*(softmax(x*w, -1) - 1/2)",
        ),
        (
            "cross_entropy(stack([x, x]), c, label_smoothing=0.1)",
            "d cross_entropy / d operand, element by element",
        ),
        (
            "cross_entropy(stack([x*w, w]), c*stack([c, 0*c]), ignore_index=0)",
            rules.RULES["cross_entropy"]["input"],
        ),
        (
            "nll(stack([x*w, w]), c*stack([c, 0*c]), ignore_index=0, reduction='sum')",
            rules.RULES["nll_loss summed"]["input"],
        ),
        ("cross_entropy(x*w, w/3)", "d cross_entropy / d operand, element by element"),
        ("F.cross_entropy(stack([x, x]), c, weight=w)", rules.RULES["cross_entropy"]["input"]),
    ],
)
@pytest.mark.filterwarnings("ignore:Using a target size")
def test_formulas_name_what_the_user_named(text: str, formula: str) -> None:
    inputs = {
        "x": torch.tensor(1.5),
        "y": torch.tensor(1.25),
        "c": torch.tensor(1),
        "w": torch.tensor([1.0, 2.0]),
    }
    row = next(row for row in explain(text, by=("x",), **inputs) if " -> " in row.operation)
    assert row.rule == formula
    if not formula.startswith(("1 at", "1 where", "d ")) and all(
        word not in formula for word in ("operand", "input", "each row", "the loss")
    ):
        assert isinstance(row.local, Tensor)
        names = inputs | {
            "v1": torch.tensor([[1.5, 1.5 * 1.25]])
        }  # as stack([x, x*y])[None] is called
        computed = evaluate(parse(Source(formula), tuple(names)), names).value
        assert_same(computed.to(row.local).expand_as(row.local), row.local)


def test_the_formula_of_an_activation_is_by_its_input_alone() -> None:
    rows = steps(explain("prelu(x, y)", x=-2.0, y=0.25))
    assert (numbers(rows["prelu -> x"].local), numbers(rows["prelu -> y"].local)) == (0.25, -2.0)
    assert rows["prelu -> y"].rule == rules.RULES["prelu"]["weight"]


def test_names_made_of_the_users_text_are_ascii() -> None:
    assert explain("x*len('\u00e9')", x=[1.5])[1].name == r"x*len('\xe9')"


@pytest.mark.parametrize(
    ("left", "right", "terms", "same"),
    [
        (1.0, 1 + 60 * EPS, [1.0], True),
        (1.0, 1 + 70 * EPS, [1.0], False),
        (1 + 70 * EPS, 1.0, [1.0], False),
        (1.0, 1 + 70 * EPS, [-5.0, 6.0], True),
        (1.0, -1.0, [1.0], False),
        (0.0, 1e-306, [0.0], True),
        (0.0, 1e-305, [0.0], False),
        (math.nan, math.nan, [1.0], True),
        (math.nan, 1.0, [1.0], False),
        (math.inf, math.inf, [1.0], True),
        (math.inf, -math.inf, [1.0], False),
    ],
)
def test_the_same_but_for_rounding_of_the_largest_term(
    left: float, right: float, terms: list[float], same: bool
) -> None:
    others = torch.tensor([left, 2.0]), torch.tensor([right, 2.0])
    assert close(*others, [torch.tensor([term, 2.0]) for term in terms]) is same


# --- everything that an expression may hold -----------------------------------------------------


@pytest.mark.parametrize(
    ("text", "inputs"),
    [
        ("x.sum() if x.shape[0] > 1 else x[0]", {"x": [1.0, 2.0]}),
        ("a, b = x; a*b", {"x": [2.0, 3.0]}),
        ("v, i = x.max(0); v + x[0]", {"x": [2.0, 3.0]}),
        ("x.sort().values[0] + x.topk(1).values.sum()", {"x": [2.0, 3.0]}),
        (
            "U, S, V = torch.linalg.svd(x); S.sum() + U.square().sum()",
            {"x": [[2.0, 3.0], [1.0, 5.0]]},
        ),
        ("torch.fft.fft(x).abs().sum()", {"x": [1.0, 2.0, 4.0]}),
        ("x.to_sparse().to_dense().sum()", {"x": [[0.0, 2.0], [1.0, 0.0]]}),
        ("F.dropout(x, 0.5).sum() + torch.rand(3).sum()", {"x": [1.0, 2.0, 4.0]}),
        ("nn.Softplus(2)(x).square().sum()", {"x": [[1.0, 2.0], [3.0, 5.0]]}),
        (
            "x[i].sum() + unused.shape[0]*x.sum()",
            {"x": [1.0, 2.0, 4.0], "i": [0, 2], "unused": [1.0]},
        ),
        ("x += 1; x *= x; x.sum()", {"x": [1.0, 2.0, 4.0]}),
        ("y = x; z = [y, [x]]; z[0].sum()", {"x": [1.0, 2.0]}),
        ("x.float().sum() + x.sum()", {"x": [1.0, 2.0]}),
        ("x", {"x": 3.0}),
        ("log(x).sum() + (0*sqrt(x)).sum()", {"x": [0.0, -1.0, 2.0]}),
    ],
)
def test_gradients_are_autograds_whatever_the_expression_holds(
    text: str, inputs: dict[str, Any]
) -> None:
    words = [f"{name}=tensor({value})" for name, value in inputs.items()]
    found = run("grad", text, *words, "--dtype", "float64", "--explain", "--json").json
    last = {
        row["name"]: row["product"] for row in found["ledger"] if row["operation"] == "gradient"
    }
    assert last == {
        name: gradient for name, gradient in found["gradients"].items() if gradient is not None
    }
    first = [row["value"] for row in found["ledger"] if " -> " in row["operation"]][:1]
    assert first == ([] if text in inputs else [found["value"]])


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_every_dtype(dtype: str) -> None:
    found = run("grad", "mse(tanh(W @ x) + b, y)", "W=1,2;3,4", "x=0.1,-0.2", "b=1", "y=0,1", "--dtype", dtype,
                "--explain", "--json").json  # fmt: skip
    last = {
        row["name"]: row["product"] for row in found["ledger"] if row["operation"] == "gradient"
    }
    assert last == found["gradients"]


def test_a_name_that_is_bound_anew_is_told_apart() -> None:
    rows = explain("n = 2*x; n = n*n; n + x", x=3.0)
    assert [row.name for row in rows] == ["x", "n + x", "n + x", "n_2", "n_2", "n", "x"]


def test_several_results_of_one_operation_are_called_together_by_its_text() -> None:
    rows = explain(
        "U, S, V = torch.linalg.svd(x); S.sum() + U.square().sum()", x=[[2.0, 3.0], [1.0, 5.0]]
    )
    assert [row.name for row in rows if row.operation == "svd -> x"] == ["torch.linalg.svd(x)"]
    assert {row.name for row in rows} >= {"S.sum()", "U.square()"}


def test_an_upstream_gradient_is_where_the_chain_begins() -> None:
    found = run("grad", "x**2", "x=1,2", "--vjp", "10,100", "--explain", "--json").json["ledger"]
    assert found[1]["upstream"] == [10.0, 100.0]
    assert found[1]["product"] == found[2]["product"] == [20.0, 400.0]


def test_the_ledger_fails_where_its_run_is_not_autograds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core, "alias", lambda tensor: 2 * tensor - tensor.detach())
    with pytest.raises(AssertionError, match=r"the paths do not add up|is not autograd's"):
        explain("exp(x)*x", x=1.0)


# --- the Jacobian of softmax, and how it looks --------------------------------------------------


def test_every_cell_of_the_softmax_jacobian() -> None:
    found = run("softmax-jacobian", "2,1,0.1", "--explain", "--json").json
    rows = found["ledger"]
    assert rows[0] == {
        "name": "p0/x0", "operation": "p_i (1 - p_i)", "value": found["jacobian"][0][0], "local": "0.659 (1 - 0.659)",
        "upstream": None, "product": None, "rule": "p0(1-p0) = 0.2247",
    }  # fmt: skip
    assert [rows[1]["rule"], rows[4]["rule"]] == ["-p0 p1 = -0.1598", "p1(1-p1) = 0.1837"]
    assert [row["rule"] for row in rows[9:]] == ["J_ij = J_ji", "sum_j J_ij = 0"]
    assert (rows[1]["name"], rows[1]["operation"], rows[1]["local"]) == (
        "p0/x1",
        "-p_i p_j",
        "-0.659 0.2424",
    )
    assert [row["value"] for row in rows[:9]] == [
        cell for line in found["jacobian"] for cell in line
    ]
    assert [row["name"] for row in rows[9:]] == ["symmetric", "rows sum to 0"]
    assert rows[9]["value"] == 0
    assert abs(rows[10]["value"]) < 1e-6
    shown = run("softmax-jacobian", "2,1,0.1", "--explain", "--precision", "4").stdout
    assert "p0(1-p0) = 0.2247" in shown
    assert "-p1 p2 = -0.02390" in shown
    many = run("softmax-jacobian", "arange(0,9,1)", "--explain").stdout
    assert "p8/x8" in many
    chosen = run("softmax-jacobian", "2,1,0.1", "--row", "1", "--explain", "--json").json["ledger"]
    assert [row["name"] for row in chosen] == [
        "p1/x0",
        "p1/x1",
        "p1/x2",
        "symmetric",
        "rows sum to 0",
    ]
    assert "--row 0" in run("softmax-jacobian", "zeros(300)", "--explain").stderr


def test_large_tensors_are_summarised_and_numbers_are_never_cut() -> None:
    shown = run("grad", "(x*x).sum()", "x=arange(0,50,1)", "--explain").stdout
    assert "shape [50], 0 to 49" in shown
    narrow = run(
        "grad",
        "mse(w*x + b, y)",
        "x=1,2",
        "w=3",
        "b=0.5",
        "y=1,1",
        "--explain",
        env={"COLUMNS": "60"},
    ).stdout
    assert max(map(len, narrow.split("Chain rule")[1].splitlines())) <= 60
    assert "[2.5, 5.5]" in narrow


def test_a_jacobian_has_a_ledger_for_each_row() -> None:
    words = ("jacobian", "x**2*w", "x=3,5", "w=2", "--explain")
    rows = run(*words, "--json").json["ledger"]
    assert [row["name"] for row in rows if row["operation"] == "input"] == [
        "y[0]: x",
        "y[0]: w",
        "y[1]: x",
        "y[1]: w",
    ]
    found = {row["name"]: row["product"] for row in rows if row["operation"] == "gradient"}
    assert found == {
        "y[0]: x": [12.0, 0.0],
        "y[0]: w": 9.0,
        "y[1]: x": [0.0, 20.0],
        "y[1]: w": 25.0,
    }
    shown = run(*words).stdout
    assert "Chain rule: y[0] of x**2*w" in shown
    assert "Chain rule: y[1] of x**2*w" in shown
    assert "--row 0" in run("jacobian", "x*2", "x=zeros(30)", "--explain").stderr


@pytest.mark.parametrize(
    ("command", "which"),
    [("hessian", "its derivatives are the Hessian"), ("descend", "used for the first step")],
)
def test_a_hessian_and_a_descent_have_the_ledger_of_the_gradient_at_the_start(
    command: str, which: str
) -> None:
    words = (command, "x**3*y", "x=3", "y=2", "--explain")
    rows = run(*words, "--json").json["ledger"]
    assert [(row["name"], row["product"]) for row in rows if row["operation"] == "gradient"] == [
        ("x", 54.0),
        ("y", 27.0),
    ]
    assert which in run(*words).stdout


@pytest.mark.parametrize("words", [("--csv",), ("--code",)])
def test_the_ledger_has_no_place_there(words: tuple[str, ...]) -> None:
    done = run("grad", "x**2", "x=1,2", *words, "--explain")
    assert done.status == 2
    assert done.stderr.startswith("error:")
    assert not done.stdout
