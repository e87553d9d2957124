"""What each command computes: one frozen dataclass per command, its fields named as the JSON keys.

What `compute` returns holds detached tensors on the CPU. Results know nothing of how they are shown. A field marked
`present` is left out of every form of output while it is None.
"""

from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from torch import Tensor, nn

from gradcli.language.calls import Call


def present() -> Any:
    """A field that is there only when it holds something."""
    return field(default=None, metadata={"omit_none": True})


def aside() -> Any:
    """A field that tables may read and that is not a key of the JSON."""
    return field(default=None, metadata={"aside": True})


def by_row() -> Any:
    """A list of rows with the same keys, of which files of arrays hold the columns."""
    return field(metadata={"rows": True})


@dataclass(frozen=True)
class Note:
    """One remark on a result: a stable code, and a line of text with sizes."""

    code: str
    text: str


class Subject(NamedTuple):
    """One thing that was differentiated, as evidence needs it: an expression of named tensors, and by what.

    `name` is what the result calls it (empty where there is one alone). `upstream` has the shape of the expression's value,
    and is None where that is one number. `call` is the catalogue's function that the expression applies, if it is one. `state`
    is that of PyTorch's generator just before the expression ran: from it the expression draws the same numbers again.
    """

    name: str
    expression: str
    inputs: dict[str, Tensor]
    by: tuple[str, ...]
    upstream: Tensor | None = None
    call: Call | None = None
    state: Tensor | None = None


@dataclass(frozen=True)
class LedgerRow:
    """One line of the chain rule. `local` is a tensor, or the rule in words where no number says it."""

    name: str
    operation: str
    value: Tensor | None
    local: Tensor | str | None
    upstream: Tensor | None
    product: Tensor | None
    rule: str | None = None
    """The local derivative as a formula, or the rule in words."""
    paths: tuple[Tensor, ...] | None = aside()
    """What was added where paths join: their sum is `upstream`, in a row of a gradient `product`."""


@dataclass(frozen=True)
class Checked:
    """Autograd's gradient by one input beside the closed form and the central difference, all in float64."""

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
    """What the user expected of one value, what came out, and the slip that explains the difference exactly."""

    expected: Tensor
    computed: Tensor
    ok: bool
    slip: str | None
    met: list[bool] = aside()
    """For each element, where both have the same shape; empty otherwise."""
    advice: str = aside()
    """What the slip means and what to do, or what to do where there is none."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """What every computing command returns. `inputs` hold what was computed with, defaults included."""

    command: str
    dtype: str
    inputs: dict[str, Tensor]
    defaults: list[str]
    notes: list[Note]
    subjects: tuple[Subject, ...] = aside()
    ledger: list[LedgerRow] | None = present()
    check: dict[str, Checked] | None = present()
    expect: dict[str, Expected] | None = present()
    ok: bool | None = present()


@dataclass(frozen=True)
class FunctionValue:
    """One activation at x: its value and elementwise derivative, both in the shape of x."""

    name: str
    value: Tensor
    derivative: Tensor | None


@dataclass(frozen=True, kw_only=True)
class ActivateResult(Result):
    """The activations asked for, side by side."""

    functions: list[FunctionValue]
    underived: tuple[Subject, ...] = aside()
    """Those of which PyTorch has no derivative."""


@dataclass(frozen=True)
class LossValue:
    """One loss: its reduced value, its elements before reduction, and d loss / d pred in the shape of pred."""

    name: str
    value: Tensor
    elements: Tensor | None
    gradient: Tensor
    reduction: str = aside()


@dataclass(frozen=True, kw_only=True)
class LossResult(Result):
    """The losses asked for, side by side."""

    losses: list[LossValue]


@dataclass(frozen=True)
class Intermediate:
    """A named step of an expression, and the gradient that reached it."""

    value: Tensor
    gradient: Tensor | None


@dataclass(frozen=True, kw_only=True)
class GradResult(Result):
    """A value and its gradient by each input; None where autograd returned None."""

    expression: str
    value: Tensor
    gradients: dict[str, Tensor | None]
    intermediates: dict[str, Intermediate]
    seed: str = aside()
    """What was differentiated where the value is not one number: `row 1`, `vjp`."""
    upstream: Tensor | None = aside()
    """The upstream gradient of --vjp."""


@dataclass(frozen=True, kw_only=True)
class GradEachResult(Result):
    """Value and gradients point by point along one 1-D input: each row holds the point, `value` and `gradients`."""

    expression: str
    rows: list[dict[str, Any]] = by_row()
    each: str = aside()
    pointwise: tuple[Subject, ...] = aside()
    """What was differentiated at each point."""


@dataclass(frozen=True, kw_only=True)
class JacobianResult(Result):
    """d value / d input for each input, of shape value.shape + input.shape; None where autograd returned None."""

    expression: str
    value: Tensor
    jacobian: dict[str, Tensor | None]
    output: str = aside()
    """What the elements of the value are called: `y[0]`."""


Kind = Literal["minimum", "maximum", "saddle", "degenerate"]


@dataclass(frozen=True, kw_only=True)
class HessianResult(Result):
    """Second derivatives by each pair of inputs, of shape input.shape + input.shape.

    `eigenvalues` are those of the joint Hessian, ascending. `kind` is None where the point is not stationary.
    """

    expression: str
    value: Tensor
    gradients: dict[str, Tensor]
    hessian: dict[str, dict[str, Tensor]]
    eigenvalues: Tensor
    stationary: bool
    kind: Kind | None


@dataclass(frozen=True, kw_only=True)
class SoftmaxJacobianResult(Result):
    """Probabilities p of the logits x, and d p_i / d x_j: row i is output i, column j is input j."""

    probabilities: Tensor
    jacobian: Tensor
    label: int
    row: Tensor | None = present()
    row_index: int | None = aside()


@dataclass(frozen=True, kw_only=True)
class PerceptronResult(Result):
    """One layer forward, and the gradient of its loss by w, b and x; None where PyTorch has no derivative."""

    z: Tensor
    output: Tensor
    loss: Tensor
    gradients: dict[str, Tensor | None]
    layer: str = aside()
    calls: tuple[Call, Call] = aside()
    """The activation and the loss."""


@dataclass(frozen=True)
class Epoch:
    """The state after one pass over the data: misclassified rows, loss, and parameters."""

    epoch: int
    errors: int
    loss: Tensor
    w: Tensor
    b: Tensor


@dataclass(frozen=True, kw_only=True)
class PerceptronTraining(Result):
    """A layer trained from zeros: `epochs` done, whether every row ended up on its side, and the way there."""

    epochs: int
    converged: bool
    w: Tensor
    b: Tensor
    history: list[Epoch] = by_row()
    layer: str = aside()


@dataclass(frozen=True)
class DescentStep:
    """Value and parameters after `step` steps; step 0 is the start."""

    step: int
    value: Tensor
    parameters: dict[str, Tensor]


Stopped = Literal["steps", "tolerance", "diverged"]


@dataclass(frozen=True, kw_only=True)
class DescendResult(Result):
    """A descent: every step with the start in front, where it ended, and why it ended there."""

    expression: str
    steps: list[DescentStep] = by_row()
    parameters: dict[str, Tensor]
    value: Tensor
    stopped: Stopped
    optimizer: str = aside()
    """The optimiser as PyTorch is asked for it: `SGD(lr=0.1, momentum=0.9)`."""


@dataclass(frozen=True)
class LayerFlow:
    """One layer under one activation, layer 1 next to the input.

    `gradient_norm` is that by the layer's z = W h + b over all samples, in float64. `mean` and `std` are those of the layer's
    outputs, `saturated` is the share of them where the activation's slope is at most a tenth of its largest.
    """

    layer: int
    activation: str
    gradient_norm: Tensor
    mean: Tensor
    std: Tensor
    saturated: Tensor


class Stack(NamedTuple):
    """What every activation of a flow is put into: the layers, what goes in below, and the gradient that enters above."""

    layers: list[nn.Linear]
    x: Tensor
    upstream: Tensor


@dataclass(frozen=True, kw_only=True)
class FlowResult(Result):
    """The gradient through a stack of layers; `factors` hold by what each layer multiplies it on its way back."""

    layers: list[LayerFlow] = by_row()
    verdict: str
    factors: dict[str, float | None]
    flat: dict[str, float] = aside()
    """For each activation the slope up to which an output counts as saturated."""
    stack: Stack = aside()
    calls: tuple[Call, ...] = aside()
    """The activations."""


@dataclass(frozen=True)
class Curve:
    """A function at the points of x: its value and derivative, both in the shape of x.

    `jumps` are the numbers of the points, in ascending order of x, between which and the next one the value jumps;
    `slope_jumps` those where the derivative does.
    """

    name: str
    value: Tensor
    derivative: Tensor | None
    jumps: tuple[int, ...] = aside()
    slope_jumps: tuple[int, ...] = aside()
    label: str = aside()
    """What the picture calls it, where that is more than the name."""


@dataclass(frozen=True, kw_only=True)
class PlotResult(Result):
    """Functions over one range, side by side."""

    x: Tensor
    curves: list[Curve]
    along: str = aside()
    """What x is called."""
    filled: tuple[str, ...] = aside()
    """The ranges of which two numbers, the ends, were given."""
    pointwise: tuple[Subject, ...] = aside()
    """What each curve is at one point of the range, whole here, by which it is differentiated."""


@dataclass(frozen=True, kw_only=True)
class SurfaceResult(Result):
    """An expression over two ranges: `value` and each gradient have a row for each point of the first one."""

    x: dict[str, Tensor]
    value: Tensor
    gradients: dict[str, Tensor | None]
    expression: str = aside()
    filled: tuple[str, ...] = aside()
    """The ranges of which two numbers, the ends, were given."""
    pointwise: tuple[Subject, ...] = aside()
    """What the surface is at one pair of points of the two ranges, whole here, by which it is differentiated."""


@dataclass(frozen=True, kw_only=True)
class FunctionsResult:
    """Entries of the catalogue: what `gradcli.commands.functions.request.facts` says, kinks as measured, codes of notes."""

    functions: list[dict[str, Any]]
    ok: bool | None = present()
    along: str = aside()
    """What the curve goes along: `x`, or `pred, target 0`."""
    x: Tensor | None = aside()
    curve: Curve | None = aside()
    """The one function that is asked for, where it is one of one number."""


@dataclass(frozen=True)
class Demonstration:
    """A program that was really run: what PyTorch said, one line per warning or error, and the lines that it printed."""

    program: str
    said: list[str]
    printed: list[str]


@dataclass(frozen=True, kw_only=True)
class WhyResult:
    """A mistake, made and cured. `error` is what PyTorch said, or the wrong number that it printed in silence."""

    name: str
    error: str
    cause: str
    cure: str
    code: str
    related: list[str]
    ok: bool | None = present()
    title: str = aside()
    family: str = aside()
    advice: str = aside()
    """The cure in words alone."""
    made: Demonstration = aside()
    cured: Demonstration = aside()
    same: list[tuple[str, str]] = aside()
    """Name and title of the mistakes of which PyTorch says the same."""
    neighbours: list[tuple[str, str]] = aside()
    """Name and title of others to look at."""
