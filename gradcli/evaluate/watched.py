"""What a run passes that may be worth a note: the operations that notes look at, with their
operands and results.
"""

import ast
from collections.abc import Callable, Mapping, Sequence
from functools import cache, lru_cache, partial
from inspect import signature
from typing import Any, NamedTuple

from torch import Tensor

from gradcli.catalogue.functions import CATALOGUE, Loss
from gradcli.evaluate import implementations, library
from gradcli.evaluate.machine import After, Before
from gradcli.language.calls import Call
from gradcli.language.expressions.program import Expression, Step
from gradcli.language.limits import PROGRAMS

OTHERS = frozenset(
    {
        "abs",
        "absolute",
        "clamp",
        "clip",
        "maximum",
        "minimum",
        "fmax",
        "fmin",
        "max",
        "min",
        "amax",
        "amin",
        "norm",
    }
)
"""Functions beside the catalogue's that notes look at."""

UNNAMED = "its input"
LABEL = 40
"""Characters that an operand's own text may have, to be quoted in a note."""


class WatchedOp(NamedTuple):
    """One operation of a run. `name` is the catalogue's or one of OTHERS; `settings` are the
    parameters as they were set.

    `again` computes it from other tensors in the places of `operands`; `label` says what the first
    of them is called.
    """

    name: str
    operands: tuple[Any, ...]
    settings: Mapping[str, Any]
    value: Any
    again: Callable[..., Any]
    label: Callable[[], str]

    @property
    def dimension(self) -> int:
        """The dimension along which softmax goes, counted from 0."""
        given = [*self.operands[1:2], self.settings.get("dim")]
        dim: int = next((dim for dim in given if isinstance(dim, int)), -1)
        return dim % max(1, int(self.value.ndim))


def of_activation(call: Call, x: Tensor, value: Tensor, label: str) -> WatchedOp:
    """An activation that was computed from `x`, which records; `value` has its shape."""
    return WatchedOp(
        call.entry.name, (x,), call.bound, value, implementations.activation(call), lambda: label
    )


def of_loss(
    call: Call,
    pred: Tensor,
    target: Tensor,
    value: Tensor,
    label: str,
    reduction: str | None = None,
) -> WatchedOp:
    """A loss that was computed from `pred`, which records, and a target in the shape and dtype that
    the loss takes.
    """
    again = implementations.loss(call, reduction)
    return WatchedOp(call.entry.name, (pred, target), call.bound, value, again, lambda: label)


def watching(
    program: Expression, before: Before, watched: list[WatchedOp]
) -> tuple[Before, After | None]:
    """`before`, and what is to be told after each step, so that `watched` collects what notes look
    at.

    An expression that has nothing of the kind runs as fast as it would without.
    """
    steps = _watched(program)
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


@lru_cache(maxsize=PROGRAMS)
def _watched(program: Expression) -> dict[int, Callable[[tuple[Any, ...], Any], WatchedOp]]:
    """The steps that notes look at, by identity, and how each makes a watched operation of its
    operands and value.
    """
    found: dict[int, Callable[[tuple[Any, ...], Any], WatchedOp]] = {}
    for step, node in zip(program.steps, program.origins, strict=True):
        if "*" in step.keywords:
            continue  # which argument is which is known only when it runs
        label = partial(_label, step, node)
        if step.kind == "apply":
            found[id(step)] = partial(_of_module, step, label)
        elif (
            step.kind in ("call", "method")
            and not step.name.startswith("nn.")
            and (name := canonical(step.name))
        ):
            plain = not step.keywords and step.take == _tensors(name)
            found[id(step)] = (
                _of_plain_call(step, name, label)
                if plain
                else partial(_of_function, step, name, label)
            )
    return found


def _tensors(name: str) -> int:
    """How many tensors a function is given before its parameters."""
    return len(CATALOGUE[name].operands) if name in CATALOGUE else 1


def _of_plain_call(
    step: Step, name: str, label: Callable[[], str]
) -> Callable[[tuple[Any, ...], Any], WatchedOp]:
    """A call that leaves every parameter at its default, which need be found out but once."""
    settings, again = _settings(name, (), {}), library.function(step.name)
    return lambda operands, value: WatchedOp(name, operands, settings, value, again, label)


def _of_function(
    step: Step, name: str, label: Callable[[], str], operands: tuple[Any, ...], value: Any
) -> WatchedOp:
    count = len(operands) - len(step.keywords)
    arguments, keywords = operands[:count], dict(zip(step.keywords, operands[count:], strict=True))
    tensors = _tensors(name)
    for key in ("input", "target")[len(arguments) : tensors]:
        if key in keywords:
            arguments = (*arguments, keywords.pop(key))
    settings = _settings(name, arguments[tensors:], keywords, step.name)
    return WatchedOp(
        name, arguments, settings, value, partial(library.function(step.name), **keywords), label
    )


def _of_module(
    step: Step, label: Callable[[], str], operands: tuple[Any, ...], value: Any
) -> WatchedOp:
    """A call of a torch.nn module; one that no note is about has no name."""
    module, *given = operands
    count = len(given) - len(step.keywords)
    arguments, keywords = given[:count], dict(zip(step.keywords, given[count:], strict=True))
    library.by_place(arguments, keywords, "input", "target")
    again = partial(library.apply, module, **keywords)
    name = canonical(type(module).__name__)
    attributes = {key: found for key, found in vars(module).items() if not key.startswith("_")}
    return WatchedOp(name, tuple(arguments), _settings(name, (), attributes), value, again, label)


def _settings(
    name: str, arguments: tuple[Any, ...], keywords: Mapping[str, Any], path: str = ""
) -> dict[str, Any]:
    """The parameters of a catalogue function by name, given in order or by name, else their
    defaults; others as given.
    """
    entry = CATALOGUE.get(name)
    if entry is None:
        return dict(keywords)
    known = {parameter.name: parameter.default for parameter in entry.parameters}
    order = (_order(path) if arguments else ()) if isinstance(entry, Loss) else known
    return {**known, **dict(zip(order, arguments, strict=False)), **keywords}


@cache
def _order(path: str) -> tuple[str, ...]:
    """The parameters of a loss behind its prediction and target, in PyTorch's order; a function in
    C++ tells none.
    """
    return (
        tuple(signature(library.pytorch_function(path)).parameters)[2:]
        if path.startswith("F.")
        else ()
    )


def target_of(step: Step, operands: Sequence[Any]) -> tuple[str, Any] | None:
    """The name of the loss of the catalogue that a step applies, as a function or a module, and its
    target.
    """
    module = step.kind == "apply"
    name = _LOSSES.get(
        _squeezed(type(operands[0]).__name__ if module else step.name.rpartition(".")[2])
    )
    if name is None or not (module or step.kind == "call"):
        return None
    count = len(operands) - len(step.keywords)
    arguments, keywords = (
        list(operands[module:count]),
        dict(zip(step.keywords, operands[count:], strict=True)),
    )
    library.by_place(arguments, keywords, "input", "target")
    return (name, arguments[1]) if len(arguments) > 1 else None


def canonical(path: str) -> str:
    """The name under which notes know the function at a path such as `Tensor.sigmoid` or
    `CrossEntropyLoss`; empty: not.
    """
    return _CANONICAL.get(_squeezed(path.rpartition(".")[2]), "")


def _squeezed(name: str) -> str:
    return name.lower().replace("_", "").removesuffix("loss")


_LOSSES = {
    _squeezed(name): entry.name for name, entry in CATALOGUE.items() if isinstance(entry, Loss)
}
_CANONICAL = {
    # Smooth losses of any numbers are left out: of them there is nothing to say, and PyTorch itself
    # warns of shapes.
    **{
        _squeezed(name): entry.name
        for name, entry in CATALOGUE.items()
        if entry.kinks or getattr(entry, "target", "") != "real"
    },
    **{name: name for name in OTHERS},
    "vectornorm": "norm",
}


def _label(step: Step, node: ast.AST) -> str:
    """What the first operand of a call is called: its own text where that is short."""
    operand: ast.AST | None = None
    if isinstance(node, ast.Call):
        method = step.kind == "method" and isinstance(node.func, ast.Attribute)
        operand = node.func.value if method else node.args[0] if node.args else None  # type: ignore[attr-defined]
    if operand is None or sum(1 for _ in ast.walk(operand)) > LABEL:
        return UNNAMED
    text = ast.unparse(operand)
    return text if len(text) <= LABEL else UNNAMED
