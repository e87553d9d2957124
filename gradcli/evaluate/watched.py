"""The operations of a run that notes examine, with their operands and results."""

import ast
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from inspect import signature
from typing import Any, NamedTuple

from torch import Tensor

from gradcli import core
from gradcli.catalogue.functions import CATALOGUE, LOSSES, Loss
from gradcli.evaluate import implementations, library
from gradcli.evaluate.machine import After, Before
from gradcli.language.calls import Call
from gradcli.language.expressions.program import Expression, Step, once

OTHERS = frozenset(
    {"abs", "absolute", "clamp", "clip", "maximum", "minimum", "fmax", "fmin", "max", "min", "amax", "amin", "hypot",
     "margin_ranking_loss"}
)  # fmt: skip
"""Functions besides the catalogue's that notes examine."""
NORMS = frozenset(
    {"norm", "linalg.norm", "matrix_norm", "dist", "cdist", "pdist", "pairwise_distance", "std", "cosine_embedding_loss"}
)  # fmt: skip
"""Others: norms of vectors and matrices, distances and deviations, which are norms of differences, and what
is made of norms.
"""
ORDERING = frozenset(
    {"sort", "msort", "topk", "kthvalue", "mode", "median", "nanmedian", "quantile", "nanquantile", "cummax", "cummin",
     "aminmax", *(f"{kind}max_pool{n}d" for kind in ("", "adaptive_") for n in (1, 2, 3))}
)  # fmt: skip
"""Others, which choose among the elements of a tensor by their order."""

UNNAMED = "its input"
LABEL = 40
"""Characters that an operand's text may have to be quoted in a note."""


class WatchedOp(NamedTuple):
    """One operation of a run. `name` is the catalogue's or one of OTHERS, NORMS and ORDERING.

    `settings` are its parameters; `again` computes it from other tensors in the places of
    `operands`; `label` returns the name of the first of them. `upstream` holds what a backward pass
    brought to each real output of a function of ORDERING, or of one with indices, as
    `core.upstream_of` does.
    """

    name: str
    operands: tuple[Any, ...]
    settings: Mapping[str, Any]
    value: Any
    again: Callable[..., Any]
    label: Callable[[], str]
    upstream: Sequence[list[Tensor]] = ()

    @property
    def outputs(self) -> list[Tensor]:
        """The outputs that record."""
        values = self.value if isinstance(self.value, tuple) else (self.value,)
        return [value for value in values if value.requires_grad]

    def leads_to(self, value: Tensor) -> bool:
        """Whether `value` is computed from an output that records."""
        ends = {each.grad_fn for each in self.outputs}
        return any(node in ends for node, _ in core.walk([value.grad_fn]))

    @property
    def dimension(self) -> int:
        """The dimension along which softmax goes, counted from 0."""
        candidates = [*self.operands[1:2], self.settings.get("dim")]
        dim: int = next((dim for dim in candidates if isinstance(dim, int)), -1)
        return dim % max(1, int(self.value.ndim))


def of_activation(call: Call, x: Tensor, value: Tensor, label: str) -> WatchedOp:
    """An activation of `x`, which records; `value` has its shape."""
    again = implementations.activation(call)
    return WatchedOp(call.entry.name, (x,), call.bound, value, again, lambda: label)


def of_loss(
    call: Call, pred: Tensor, target: Tensor, value: Tensor, label: str,
    reduction: str | None = None
) -> WatchedOp:  # fmt: skip
    """A loss of `pred`, which records, and a target in the shape and dtype that the loss takes."""
    again = implementations.loss(call, reduction)
    return WatchedOp(call.entry.name, (pred, target), call.bound, value, again, lambda: label)


def used(operations: Sequence[WatchedOp], value: Tensor) -> list[WatchedOp]:
    """The operations of a run, without those that order elements and of which `value` has at most
    the indices.
    """
    return [op for op in operations if not op.upstream or op.leads_to(value)]


def watching(
    program: Expression, before: Before, watched: list[WatchedOp]
) -> tuple[Before, After | None]:
    """`before`, and the function to call after each step: both add the operations to `watched`."""
    steps = makers(program)
    if not steps:
        return before, None
    latest: list[Any] = []

    def remember(step: Step, operands: list[Any]) -> None:
        before(step, operands)
        if id(step) in steps:
            latest[:] = operands

    def collect(step: Step, value: Any) -> None:
        if id(step) in steps:
            watched.append(steps[id(step)](tuple(latest), value))

    return remember, collect


@once
def makers(program: Expression) -> dict[int, Callable[[tuple[Any, ...], Any], WatchedOp]]:
    """How to make the watched operation of each step that notes examine, by the step's id."""
    found: dict[int, Callable[[tuple[Any, ...], Any], WatchedOp]] = {}
    for step, node in zip(program.steps, program.origins, strict=True):
        if "*" in step.keywords:
            continue  # the arguments' names are known only when it runs
        label = partial(_label, step, node, program.layers.get(id(step), ""))
        if step.kind == "apply":
            found[id(step)] = partial(_of_module, step, label)
            continue
        called = step.kind in ("call", "method") and not step.name.startswith("nn.")
        if called and (name := canonical(step.name)):
            plain = not step.keywords and step.take == _tensors(name)
            general = partial(_of_function, step, name, label)
            found[id(step)] = _of_plain_call(step, name, label) if plain else general
    return found


def _tensors(name: str) -> int:
    """The number of tensors that a function takes before its parameters."""
    return len(CATALOGUE[name].operands) if name in CATALOGUE else 1


def _of_plain_call(
    step: Step, name: str, label: Callable[[], str]
) -> Callable[[tuple[Any, ...], Any], WatchedOp]:
    """A call that leaves every parameter at its default, so that they are computed once."""
    settings, again = _settings(name, (), {}), library.function(step.name)
    return lambda operands, value: _hooked(WatchedOp(name, operands, settings, value, again, label))


def _hooked(op: WatchedOp) -> WatchedOp:
    """The operation, with what will reach its outputs if it is one of ORDERING or has indices."""
    indexed = op.name in OTHERS and isinstance(op.value, tuple)
    x = op.operands[0] if op.operands else None
    if not (indexed or op.name in ORDERING) or not (isinstance(x, Tensor) and x.requires_grad):
        return op
    return op._replace(upstream=[core.upstream_of(each) for each in op.outputs])


def _of_function(
    step: Step, name: str, label: Callable[[], str], operands: tuple[Any, ...], value: Any
) -> WatchedOp:
    arguments, keywords = library.split(step, operands)
    settings = _settings(name, arguments[_tensors(name) :], keywords, step.name)
    again = partial(library.function(step.name), **keywords)
    return _hooked(WatchedOp(name, tuple(arguments), settings, value, again, label))


def _of_module(
    step: Step, label: Callable[[], str], operands: tuple[Any, ...], value: Any
) -> WatchedOp:
    """A call of a torch.nn module; one that no note is about has no name."""
    module, (arguments, keywords) = operands[0], library.split(step, operands)
    again = partial(library.apply, module, **keywords)
    name = canonical(type(module).__name__)
    attributes = {key: v for key, v in vars(module).items() if not key.startswith("_")}
    settings = _settings(name, (), attributes | keywords)
    return _hooked(WatchedOp(name, tuple(arguments), settings, value, again, label))


def _settings(
    name: str, arguments: Sequence[Any], keywords: Mapping[str, Any], path: str = ""
) -> dict[str, Any]:
    """The parameters of a function by name, for the catalogue's functions with their defaults."""
    entry = CATALOGUE.get(name)
    if entry is None:
        return dict(keywords)
    order = (_order(path) if arguments else ()) if isinstance(entry, Loss) else entry.defaults
    return {**entry.defaults, **dict(zip(order, arguments, strict=False)), **keywords}


@cache
def _order(path: str) -> tuple[str, ...]:
    """The parameters of a loss after pred and target, in PyTorch's order; none from C++."""
    if not path.startswith("F."):
        return ()
    return tuple(signature(library.pytorch_function(path)).parameters)[2:]


def target_of(step: Step, operands: Sequence[Any]) -> tuple[str, Any] | None:
    """The catalogue's name of the loss that a step applies, function or module, and its target."""
    module = step.kind == "apply"
    function = type(operands[0]).__name__ if module else step.name.rpartition(".")[2]
    name = _LOSSES.get(_squeezed(function))
    if name is None or not (module or step.kind == "call"):
        return None
    arguments, _ = library.split(step, operands)
    return (name, arguments[1]) if len(arguments) > 1 else None


def canonical(path: str) -> str:
    """A function's name for notes, from `Tensor.sigmoid` or `CrossEntropyLoss`; empty if none."""
    if path.endswith("linalg.norm"):  # of a matrix it is another one than torch.norm
        return "linalg.norm"
    return _CANONICAL.get(_squeezed(path.rpartition(".")[2]), "")


def _squeezed(name: str) -> str:
    return name.lower().replace("_", "").removesuffix("loss")


_LOSSES = {_squeezed(name): entry.name for name, entry in LOSSES.items()}
# Smooth losses of any numbers are left out: no note is about them, and PyTorch itself warns about
# shapes.
_SMOOTH = {name for name, loss in LOSSES.items() if not loss.kinks and loss.target == "real"}
_CANONICAL = {
    **{_squeezed(name): entry.name for name, entry in CATALOGUE.items() if name not in _SMOOTH},
    **{_squeezed(name): name for name in OTHERS | NORMS | ORDERING},
    "vectornorm": "norm",
    "gaussiannll": "gaussian_nll_loss",
}


def _label(step: Step, node: ast.AST, layer: str) -> str:
    """The name of a call's first operand: its own text if that is short. What the call of a module
    passes on from layer to layer has no text.
    """
    operand: ast.AST | None = None
    called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
    if "[" in layer and called != layer:
        return f"{layer}'s input"
    if isinstance(node, ast.Call):
        method = step.kind == "method" and isinstance(node.func, ast.Attribute)
        operand = node.func.value if method else node.args[0] if node.args else None  # type: ignore[attr-defined]
    if operand is None or sum(1 for _ in ast.walk(operand)) > LABEL:
        return UNNAMED
    text = ast.unparse(operand)
    return text if len(text) <= LABEL else UNNAMED
