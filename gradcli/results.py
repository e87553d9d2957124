"""What every result is, and what it offers to evidence, notes and all forms of output.

A result is a frozen dataclass in its command's folder; its fields have the names of the JSON keys.
What a command returns holds detached tensors on the CPU. Results do not depend on how they are
shown.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from types import MappingProxyType
from typing import Any, ClassVar, Literal, NamedTuple, TypeAlias

import torch
from torch import Tensor

from gradcli import result_paths
from gradcli.language.calls import Call
from gradcli.language.expressions.program import Expression
from gradcli.language.source import Span


@cache
def _beside(kind: type, name: str) -> Any:
    return import_module(f"{kind.__module__.rpartition('.')[0]}.{name}")


def part(of: object, name: str) -> Any:
    """The module `name` in the folder of the command that a request or a result belongs to."""
    kind: type = type(of)
    return _beside(kind, name)


# --- fields -------------------------------------------------------------------------------------


def present(default: Any = None) -> Any:
    """A field that is left out while it is its default."""
    return field(default=default, metadata={"omitted": True})


def aside(default: Any = None, *, given: bool = False) -> Any:
    """A field that tables may read and that is not a JSON key; `given` as below."""
    return field(default=default, metadata={"aside": True, "given": given})


def as_run(default: Any = None) -> Any:
    """A field for evidence, not a JSON key; its tensors stay recorded, on their device."""
    return field(default=default, metadata={"aside": True, "as_run": True})


def given(*, rows: bool = False) -> Any:
    """A field whose numbers notes ignore: they are the user's, or were examined step by step."""
    return field(metadata={"given": True, "rows": rows})


def by_row() -> Any:
    """A list of rows with the same keys; files of arrays hold the columns."""
    return field(metadata={"rows": True})


# --- subjects -----------------------------------------------------------------------------------

Inputs: TypeAlias = Mapping[str, Tensor]


class Subject(NamedTuple):
    """One thing that was differentiated: an expression of named tensors, and by which inputs.

    `name` is the result's name for it (empty if there is only one). `upstream` has the shape of the
    expression's value, and is None if that is one number. `call` is the catalogue's function if the
    expression applies one. `state` is that of PyTorch's generator, uint8 [bytes], just before the
    expression ran: from it the expression draws the same numbers again.
    """

    name: str
    expression: str
    inputs: dict[str, Tensor]
    by: tuple[str, ...]
    upstream: Tensor | None = None
    call: Call | None = None
    state: Tensor | None = None
    kind: Literal["gradient", "jacobian", "diagonal", "hessian", "jvp", "hvp"] = "gradient"
    """What was computed: a vjp, all rows of the Jacobian, its diagonal, the Hessian, or a product of
    the Jacobian or the Hessian with `directions`."""
    output: str = "y"
    """The name of its value, whose elements are the rows of a Jacobian."""
    row: int | None = None
    """The one row of the Jacobian that counts."""
    program: Expression | None = None
    """The parsed expression, if there is one."""
    title: str = ""
    """The expression as a ledger's title shows it, if that differs."""
    directions: Mapping[str, Tensor] = MappingProxyType({})
    """The tangents of some inputs, in their shapes."""

    def at(self, index: Sequence[int]) -> "Subject":
        """A subject differentiated by whole ranges, at one point: an index into each range."""
        point = {name: self.inputs[name][place] for name, place in zip(self.by, index, strict=True)}
        return self._replace(inputs={**self.inputs, **point})


class Points(NamedTuple):
    """Many gradients of one kind; `at(i)` is subject i of `total`. Evidence examines some."""

    name: str
    total: int
    at: Callable[[int], Subject]
    label: Callable[[int, str, str], str]
    """The name of a slope, from the number of the point, the input, and the slope's own label."""
    what: str = "points"
    remarks: tuple[str, ...] = ()
    size: Callable[[int], float] | None = None
    """The factor from the slope at a point, of which there is then one, to the number in the
    result."""


def grid(subject: Subject) -> Points:
    """The points of the ranges that a subject is differentiated by, in row-major order."""
    shape = [len(subject.inputs[name]) for name in subject.by]

    def at(i: int) -> Subject:
        return subject.at(result_paths.index(i, shape))

    def label(i: int, name: str, _: str) -> str:
        return indexed(name, result_paths.index(i, shape))

    return Points(subject.name, math.prod(shape), at, label)


class Origin(NamedTuple):
    """What a path of a result leads to: of which subject, which number, input and element."""

    subject: Subject | None
    kind: Literal["value", "gradient", "jacobian", "hessian", "jvp", "hvp"]
    name: str = ""
    places: tuple[int, ...] = ()
    by: str = ""
    """The second input of a block of a Hessian."""


def step_key(name: str) -> str:
    """The name of a step beside those of inputs, one of which may have the same."""
    return f"{name} "


def origin(subject: Subject | None, kind: str, name: str, index: Sequence[str]) -> Origin | None:
    """The origin from the parts of a path; None if it leads to nothing that can be recomputed."""
    kind = "gradient" if kind == "derivative" else kind
    if kind not in ("value", "gradient", "jacobian", "jvp", "hvp") or not all(
        key.isdigit() for key in index
    ):
        return None
    return Origin(subject, kind, name, tuple(map(int, index)))  # type: ignore[arg-type]


def element(name: str, place: int, tensor: Tensor) -> str:
    """One element of a tensor by its index: `w[0,1]`, or `w` if the tensor is one number."""
    return indexed(name, result_paths.index(place, tensor.shape))


def indexed(name: str, index: Sequence[int]) -> str:
    """A name with an index, `w[0,1]`; the name alone if the index is empty."""
    return f"{name}[{','.join(map(str, index))}]" if index else name


def one_hot(like: Tensor, row: int) -> Tensor:
    """The upstream gradient, in the shape of `like`, that picks one element of a value."""
    upstream = torch.zeros(like.numel(), dtype=like.dtype)
    upstream[row] = 1
    return upstream.reshape(like.shape)


# --- evidence -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Note:
    """One remark on a result: a stable code, and a line of text with sizes."""

    code: str
    text: str


RowKind: TypeAlias = Literal["input", "operation", "gradient", "jvp", "cell", "invariant"]


@dataclass(frozen=True)
class LedgerRow:
    """One line of the chain rule. `local` is a tensor, or the rule in words without a number.

    `upstream` and its paths have the shape of `value`, `product` has that of the operand; in the
    row of a gradient, `product` and its paths have the input's. A row has None for what it lacks.
    """

    name: str
    operation: str
    value: Tensor | None
    local: Tensor | str | None
    upstream: Tensor | None
    product: Tensor | None
    rule: str | None = None
    """The local derivative as a formula, or the rule in words."""
    paths: tuple[Tensor, ...] | None = aside()
    """The terms that were added where paths join: their sum is `upstream`, or for the row of a
    gradient `product`."""
    kind: RowKind = aside("operation")
    operand: str = aside("")
    """The operand that the gradient of an operation is passed on to."""
    label: str = aside("")
    """The name without the prefix of the subject."""
    subject: Subject | None = as_run()

    @property
    def short(self) -> str:
        """The row in one word: the gradient that it is, or where the product goes."""
        if self.kind == "operation" and self.operand:
            return f"{self.label} -> {self.operand}"
        return f"d/d{self.label}" if self.kind == "gradient" else self.label


@dataclass(frozen=True)
class ForwardRow:
    """One line of the chain rule in forward mode, as a `LedgerRow`: `tangent` is that of an operand,
    in its shape, `product` what it adds to the tangent of the value, in the shape of the value.
    """

    name: str
    operation: str
    value: Tensor | None
    local: Tensor | str | None
    tangent: Tensor | None
    product: Tensor | None
    rule: str | None = None
    paths: tuple[Tensor, ...] | None = aside()
    """The products of several operands, in the last row of their operation."""
    total: Tensor | None = aside()
    """Their sum, the tangent of the value."""
    kind: RowKind = aside("operation")
    operand: str = aside("")
    """The operand that has the tangent."""
    subject: Subject | None = as_run()

    @property
    def label(self) -> str:
        """The name."""
        return self.name

    @property
    def short(self) -> str:
        """The row in one word: where the product comes from and goes."""
        return f"{self.operand} -> {self.name}" if self.operand else self.name


@dataclass(frozen=True)
class Checked:
    """Autograd's gradient for one input, its closed form and difference, all float64, [slopes]."""

    max_abs_error: float
    max_rel_error: float
    ok: bool
    slopes: Tensor = aside()
    closed: Tensor | None = aside()
    difference: Tensor = aside()
    verdicts: list[str] = aside()
    """One word per slope: ok, kink, ..."""
    places: list[str] = aside()
    """The name of each slope: `w[0,1]`."""
    left: Tensor = aside()
    right: Tensor = aside()
    """The slopes from the left and from the right if they differ, otherwise NaN."""
    absolute: Tensor = aside()
    relative: Tensor = aside()
    """The errors of each slope, NaN if it cannot be compared."""
    remarks: list[str] = aside()


@dataclass(frozen=True)
class Expected:
    """An expected and a computed value, any shapes, and the slip that explains the difference."""

    expected: Tensor
    computed: Tensor
    ok: bool
    slip: str | None
    row: str | None = present()
    """The row of the ledger that the slip is about, if it is about one."""
    met: list[bool] = aside()
    """For each element, if both have the same shape; otherwise empty."""
    advice: str = aside()
    """What the slip means and what to do, or what to do if there is none."""


@dataclass(frozen=True)
class Counterexample:
    """A point at which a formula differs from autograd: the inputs and both sides, any shapes."""

    inputs: dict[str, Tensor]
    expected: Tensor
    computed: Tensor


@dataclass(frozen=True)
class ExpectedFormula(Expected):
    """A formula, its value at the given point, and at how many points it agrees with autograd."""

    formula: str = ""
    points: int = 0
    agreed: int = 0
    counterexample: Counterexample | None = None
    given: bool = aside(True)
    """Whether the counterexample, if there is one, is the given point."""
    source: str = aside("autograd")
    """What gave the computed number."""


@dataclass(frozen=True)
class ExpectedLine(ExpectedFormula):
    """One gradient of a backward pass, bound last in this line of the file, from 1."""

    line: int = 0
    own: bool = aside(False)
    """Whether it is off, but right with the student's own numbers for the lines above."""
    place: Span | None = as_run()
    """The statement in the file."""
    unread: tuple[str, ...] = aside(())
    """Names that the file binds without a gradient's name, and that no line reads."""


# --- results ------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Result:
    """What every computing command returns. `inputs`, of any shape, include the defaults."""

    of_one_gradient: ClassVar[bool] = True
    """Whether a slip may explain a number: not if it comes from many gradients."""
    when: ClassVar[str] = ""
    """When the subjects are taken, if that is not obvious: `at the start`."""
    by_input: ClassVar[str] = "gradients"
    """The field that holds the gradient for each input."""
    unnoted: ClassVar[frozenset[str]] = frozenset()
    """The codes of notes that do not apply to this result."""
    rows_shown: ClassVar[int] = 0
    """Rows of the table of --check on the screen; 0: all."""

    command: str
    dtype: str
    inputs: dict[str, Tensor] = given()
    defaults: list[str] = given()
    notes: list[Note] = given()
    modules: tuple[str, ...] = as_run(())
    """A phrase on each module whose parameters are inputs."""
    subjects: tuple[Subject, ...] = as_run(())
    underived: tuple[Subject, ...] = as_run(())
    """The subjects that PyTorch has no derivative of."""
    points: tuple[Points, ...] = as_run(())
    """What was differentiated at each of many points."""
    ledger: list[LedgerRow] | None = present()
    forward: list[ForwardRow] | None = present()
    """The ledger of forward mode."""
    check: dict[str, Checked] | None = present()
    expect: dict[str, Expected] | None = present()
    first_wrong: str | None = present("")
    """The first gradient of a backward pass that is off, None if all are right."""
    ok: bool | None = present()

    def main(self) -> list[Tensor]:
        """The arrays, of any shape, of which a `.npy` file holds one: the only or a chosen one."""
        return []

    def gradient_paths(self) -> dict[str, str]:
        """The path of the gradient for each input: what a bare name or number of --expect means."""
        return {
            name: f"{self.by_input}.{name}" for name in getattr(self, self.by_input, None) or ()
        }

    def step_paths(self) -> dict[str, str]:
        """The path of the gradient for each named step, which a bare name may mean too."""
        return {}

    def origin(self, keys: Sequence[str]) -> Origin | None:
        """The origin of the number at the path of these keys; None if it cannot be recomputed."""
        kind = {"gradients": "gradient", "loss": "value"}.get(keys[0], keys[0])
        named = isinstance(getattr(self, keys[0], None), dict)  # by input
        name, index = (keys[1], keys[2:]) if named else ("x", keys[1:])
        return origin(self.subjects[0], kind, name, index) if self.subjects else None

    def subject(self, name: str) -> Subject | None:
        """The subject with this name; a single subject has none."""
        return next((each for each in self.subjects if each.name in ("", name)), None)

    def closed_form(self, subject: Subject, name: str) -> Tensor | None:
        """The gradient of a float64 subject by the input `name` in closed form; None if unknown.

        It has the input's shape; a Jacobian is whole, [rows, elements of the input].
        """
        return None

    @property
    def explainable(self) -> bool:
        """Whether --explain can follow its gradients."""
        return bool(self.subjects)

    def explained(self) -> list[Subject]:
        """The subjects with a ledger each for --explain. Raises UsageError for too many."""
        return list(self.subjects)

    def written_out(self) -> list[LedgerRow] | None:
        """The ledger, if it is not that of the subjects."""
        return None

    def ledger_remarks(self) -> list[str]:
        """Remarks for the caption of its ledger."""
        return []
