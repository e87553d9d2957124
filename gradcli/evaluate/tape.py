"""One run of an expression with every use of a tensor kept apart: which operation took what from whom, and made what.

Each operand that records is handed on as an alias of its own, so that autograd's gradient by the alias is exactly what it
passed on through that one use. Everything else is PyTorch's own run.
"""

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import torch
from torch import Tensor

from gradcli import core
from gradcli.evaluate.machine import VALUES, Before, evaluate
from gradcli.evaluate.naming import Names
from gradcli.language.expressions.program import Expression, Step

Place: TypeAlias = tuple[int, ...]
"""Where an operand stands: its number, and behind that its number in a sequence."""

_SEQUENCES = frozenset({"tuple", "list", "slice"})
_TAKING_APART = frozenset({"index", "attribute", "unbind"})
_UNARY = {"-": "neg", "+": "positive"}


@dataclass(frozen=True)
class Use:
    """One use of a tensor that records: as which operand of an operation, and the alias that went there."""

    place: Place
    tensor: Tensor
    alias: Tensor


@dataclass(eq=False)
class Operation:
    """One operation as it was computed. `operands` are as handed to PyTorch, `results` the tensors that it gave.

    `state` is that of PyTorch's generator just before, None where it drew nothing. `label` names the results together.
    """

    step: Step
    operands: list[Any]
    uses: list[Use]
    state: Tensor | None
    results: list[Tensor] = field(default_factory=list)
    label: str = ""

    @property
    def name(self) -> str:
        """What it is called: a symbol, or the last part of a function's name."""
        step = self.step
        if step.kind == "apply":
            return type(self.operands[0]).__name__
        if step.kind == "operator" and step.take == 1:
            return _UNARY.get(step.name, step.name)
        return step.name.rpartition(".")[2] or step.kind

    @property
    def arguments(self) -> list[Any]:
        """The operands without those given by name and without a module."""
        return self.operands[self.step.kind == "apply" : len(self.operands) - len(self.step.keywords)]

    @property
    def keywords(self) -> dict[str, Any]:
        """The operands given by name."""
        names = self.step.keywords
        return dict(zip(names, self.operands[len(self.operands) - len(names) :], strict=True))

    def again(self, use: Use, leaf: Tensor) -> Any:
        """The same operation alone with `leaf` in the place of one use; nothing else records. It draws the same numbers."""
        found = {use.place: leaf}
        operands = [_mapped(operand, (i,), found) for i, operand in enumerate(self.operands)]
        now = torch.get_rng_state()
        if self.state is not None:
            torch.set_rng_state(self.state)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the run itself has said them
                return VALUES[self.step.kind](self.step)(*operands)
        finally:
            torch.set_rng_state(now)


def _mapped(value: Any, place: Place, found: Mapping[Place, Tensor]) -> Any:
    """An operand with what was found for its place, or for places in it; other tensors are detached."""
    if isinstance(value, Tensor):
        return found.get(place, value.detach())
    if len(place) == 1 and isinstance(value, tuple | list):
        items = [_mapped(item, (*place, j), found) for j, item in enumerate(value)]
        return items if isinstance(value, list) else tuple(items)
    return value


def _tensors(value: Any) -> Iterator[Tensor]:
    """The tensors that an operation gave; its sequences are PyTorch's own, and so not deep."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, tuple | list):
        for item in value:
            yield from _tensors(item)


class Tape:
    """The operations of one run, in order, and its value.

    `complete` says whether every use was seen; tensors in sequences within sequences are not, because an expression may
    nest those without end.
    """

    def __init__(self, program: Expression, inputs: Mapping[str, Tensor], before: Before) -> None:
        self.operations: list[Operation] = []
        self.complete = True
        self.names = Names(program, inputs)
        self._before = before
        self._current: Operation | None = None
        self.value = evaluate(program, inputs, self._enter, self._leave).value
        self.names.close(self.value)

    def operands(self, operation: Operation) -> list[str]:
        """What the operands of an operation are called, by place."""
        originals = {id(use.alias): use.tensor for use in operation.uses}
        return [self.names.of(originals.get(id(operand), operand)) for operand in operation.arguments]

    def _enter(self, step: Step, operands: list[Any]) -> None:
        self._before(step, operands)
        self._current = None
        if step.kind in _SEQUENCES or (step.kind in _TAKING_APART and not isinstance(operands[0], Tensor)):
            return
        uses: list[Use] = []
        operands[:] = [self._handed(operand, (i,), uses) for i, operand in enumerate(operands)]
        self._current = Operation(step, list(operands), uses, torch.get_rng_state())

    def _handed(self, value: Any, place: Place, uses: list[Use]) -> Any:
        """What goes to an operand: an alias of each tensor that records, any other value itself."""
        if isinstance(value, Tensor):
            if not value.requires_grad:
                return value
            uses.append(Use(place, value, core.alias(value)))
            return uses[-1].alias
        if not isinstance(value, tuple | list) or type(value) is torch.Size:
            return value
        if len(place) > 1:
            self.complete = False
            return value
        items = [self._handed(item, (*place, j), uses) for j, item in enumerate(value)]
        return items if isinstance(value, list) else tuple(items)

    def _leave(self, step: Step, value: Any) -> None:
        operation = self._current
        if operation is None:
            if step.kind in _TAKING_APART:
                self.names.take(step, value)
            return
        operation.results = list(_tensors(value))
        if not operation.results:
            return
        operation.label = self.names.give(step, operation.results, several=not isinstance(value, Tensor))
        if operation.uses:
            if operation.state is not None and torch.equal(operation.state, torch.get_rng_state()):
                operation.state = None
            self.operations.append(operation)
