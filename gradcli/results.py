"""What every result is, and what it says of itself: the one thing that evidence, notes and all
forms of output ask.

A result is a frozen dataclass in its command's folder, its fields named as the JSON keys. What a
command returns holds detached tensors on the CPU. Results do not depend on how they are shown.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from typing import Any, ClassVar, Literal, NamedTuple, TypeAlias

import torch
from torch import Tensor

from gradcli import result_paths
from gradcli.language.calls import Call
from gradcli.language.expressions.program import Expression


@cache
def _beside(kind: type, name: str) -> Any:
    return import_module(f"{kind.__module__.rpartition('.')[0]}.{name}")


def part(of: object, name: str) -> Any:
    """The module `name` in the folder of the command that a request or a result belongs to."""
    kind: type = type(of)
    return _beside(kind, name)


# --- fields -------------------------------------------------------------------------------------


def present() -> Any:
    """A field that is there only when it holds something."""
    return field(default=None, metadata={"omit_none": True})


def aside(default: Any = None, *, given: bool = False) -> Any:
    """A field that tables may read and that is not a key of the JSON; `given` as below."""
    return field(default=default, metadata={"aside": True, "given": given})


def as_run(default: Any = None) -> Any:
    """A field for evidence, which is not a key of the JSON and keeps its tensors as they were:
    recorded, on their device.
    """
    return field(default=default, metadata={"aside": True, "as_run": True})


def given(*, rows: bool = False) -> Any:
    """A field whose numbers notes do not look at: they were given, or are looked at step by
    step.
    """
    return field(metadata={"given": True, "rows": rows})


def by_row() -> Any:
    """A list of rows with the same keys, of which files of arrays hold the columns."""
    return field(metadata={"rows": True})


# --- subjects -----------------------------------------------------------------------------------

Inputs: TypeAlias = Mapping[str, Tensor]


class Subject(NamedTuple):
    """One thing that was differentiated, as evidence needs it: an expression of named tensors, and
    by what.

    `name` is what the result calls it (empty where there is one alone). `upstream` has the shape of
    the expression's value, and is None where that is one number. `call` is the catalogue's function
    that the expression applies, if it is one. `state` is that of PyTorch's generator just before
    the expression ran: from it the expression draws the same numbers again.
    """

    name: str
    expression: str
    inputs: dict[str, Tensor]
    by: tuple[str, ...]
    upstream: Tensor | None = None
    call: Call | None = None
    state: Tensor | None = None
    kind: Literal["gradient", "jacobian", "diagonal", "hessian"] = "gradient"
    """What of it was computed: a vjp, all rows of the Jacobian, its diagonal, or the Jacobian of
    the gradient."""
    output: str = "y"
    """What the elements of its value are called."""
    row: int | None = None
    """The one row of the Jacobian that counts."""
    program: Expression | None = None
    """The expression as it was parsed, where it was."""
    title: str = ""
    """The expression as a ledger's title has it, where that differs."""

    def at(self, index: Sequence[int]) -> "Subject":
        """A subject that is differentiated by whole ranges at one point of them; `index` has a
        place for each range.
        """
        point = {name: self.inputs[name][place] for name, place in zip(self.by, index, strict=True)}
        return self._replace(inputs={**self.inputs, **point})


class Points(NamedTuple):
    """Many gradients of one kind, of which evidence looks at some: `at(i)` is the subject of number
    i of `total`.
    """

    name: str
    total: int
    at: Callable[[int], Subject]
    label: Callable[[int, str, str], str]
    """What the slope by an input at a point is called, given the number of the point, the input,
    and its own label."""
    what: str = "points"
    remarks: tuple[str, ...] = ()
    size: Callable[[int], float] | None = None
    """By what the slope at a point is multiplied to be the number that the result shows; then there
    is one at each point."""


def grid(subject: Subject) -> Points:
    """The points of the ranges that a subject is differentiated by, in row-major order."""
    shape = [len(subject.inputs[name]) for name in subject.by]

    def label(i: int, name: str, _: str) -> str:
        return f"{name}[{','.join(map(str, result_paths.index(i, shape)))}]"

    return Points(
        subject.name,
        torch.Size(shape).numel(),
        lambda i: subject.at(result_paths.index(i, shape)),
        label,
    )


class Origin(NamedTuple):
    """What a path of a result is about: of which subject, what of it, by which input, at which
    element of that.
    """

    subject: Subject | None
    kind: Literal["value", "gradient", "jacobian"]
    name: str = ""
    places: tuple[int, ...] = ()


def origin(subject: Subject | None, kind: str, name: str, index: Sequence[str]) -> Origin | None:
    """The same from the pieces of a path; None where these lead to nothing that can be computed
    again.
    """
    known = {
        "value": "value",
        "gradient": "gradient",
        "derivative": "gradient",
        "jacobian": "jacobian",
    }
    if kind not in known or not all(key.isdigit() for key in index):
        return None
    return Origin(subject, known[kind], name, tuple(map(int, index)))  # type: ignore[arg-type]


def element(name: str, place: int, tensor: Tensor) -> str:
    """One element of a tensor by its index: `w[0,1]`, or `w` alone where the tensor is one
    number.
    """
    return (
        f"{name}[{','.join(map(str, result_paths.index(place, tensor.shape)))}]"
        if tensor.ndim
        else name
    )


def one_hot(like: Tensor, row: int) -> Tensor:
    """The upstream gradient that picks one element of a value, in its shape."""
    upstream = torch.zeros(like.numel(), dtype=like.dtype)
    upstream[row] = 1
    return upstream.reshape(like.shape)


# --- evidence -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Note:
    """One remark on a result: a stable code, and a line of text with sizes."""

    code: str
    text: str


RowKind: TypeAlias = Literal["input", "operation", "gradient", "cell", "invariant"]


@dataclass(frozen=True)
class LedgerRow:
    """One line of the chain rule. `local` is a tensor, or the rule in words where no number says
    it.
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
    """What was added where paths join: their sum is `upstream`, in a row of a gradient
    `product`."""
    kind: RowKind = aside("operation")
    operand: str = aside("")
    """What the gradient of an operation is passed on to."""
    label: str = aside("")
    """The name without the subject's in front."""
    subject: Subject | None = as_run()


@dataclass(frozen=True)
class Checked:
    """Autograd's gradient by one input beside the closed form and the central difference, all in
    float64.
    """

    max_abs_error: float
    max_rel_error: float
    ok: bool
    slopes: Tensor = aside()
    closed: Tensor | None = aside()
    difference: Tensor = aside()
    verdicts: list[str] = aside()
    """One word per slope: ok, kink, ..."""
    places: list[str] = aside()
    """What each slope is called: `w[0,1]`."""
    left: Tensor = aside()
    right: Tensor = aside()
    """The slopes from each side where they differ, else NaN."""
    absolute: Tensor = aside()
    relative: Tensor = aside()
    """The error of each slope, NaN where it cannot be compared."""
    remarks: list[str] = aside()


@dataclass(frozen=True)
class Expected:
    """What the user expected of one value, what came out, and the slip that explains the difference
    exactly.
    """

    expected: Tensor
    computed: Tensor
    ok: bool
    slip: str | None
    met: list[bool] = aside()
    """For each element, where both have the same shape; empty otherwise."""
    advice: str = aside()
    """What the slip means and what to do, or what to do where there is none."""


# --- results ------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Result:
    """What every computing command returns. `inputs` hold what was computed with, defaults
    included.
    """

    of_one_gradient: ClassVar[bool] = True
    """Whether a slip may explain a number: not of one that comes of many gradients."""
    when: ClassVar[str] = ""
    """At which moment the subjects are taken, where that is not plain: `at the start`."""
    by_input: ClassVar[str] = "gradients"
    """The field that holds the gradient by each input."""
    unnoted: ClassVar[frozenset[str]] = frozenset()
    """The codes of notes that say nothing here."""
    rows_shown: ClassVar[int] = 0
    """Rows of the table of --check on the screen; 0: all."""

    command: str
    dtype: str
    inputs: dict[str, Tensor] = given()
    defaults: list[str] = given()
    notes: list[Note] = given()
    subjects: tuple[Subject, ...] = as_run(())
    underived: tuple[Subject, ...] = as_run(())
    """Those of which PyTorch has no derivative."""
    points: tuple[Points, ...] = as_run(())
    """What was differentiated at each of many points."""
    ledger: list[LedgerRow] | None = present()
    check: dict[str, Checked] | None = present()
    expect: dict[str, Expected] | None = present()
    ok: bool | None = present()

    def main(self) -> list[Tensor]:
        """The array, of any shape, that stands for the whole result in a `.npy` file, or those
        among which one must be chosen.
        """
        return []

    def gradient_paths(self) -> dict[str, str]:
        """The path of the gradient by each input: what a bare name or number of --expect means."""
        return {name: f"{self.by_input}.{name}" for name in getattr(self, self.by_input, {})}

    def origin(self, keys: Sequence[str]) -> Origin | None:
        """What the path of these keys is about; None if that cannot be computed again."""
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
        """What --explain follows, each with a ledger of its own.

        Raises UsageError where that is too much.
        """
        return list(self.subjects)

    def written_out(self) -> list[LedgerRow] | None:
        """The ledger where it is not that of the subjects."""
        return None

    def ledger_remarks(self) -> list[str]:
        """What is special about its ledger, for the caption."""
        return []
