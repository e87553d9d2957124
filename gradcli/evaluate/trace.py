"""A run of an expression recorded: which operation took what and made what. And the same run once
more, with the same random numbers.

With `uses`, each operand that records is handed on as an alias of its own, so that autograd's
gradient by the alias is exactly what it passed on through that one use. Everything else is
PyTorch's own run.
"""

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import torch
from torch import Tensor

from gradcli import core
from gradcli.evaluate.machine import VALUES, After, Before, Evaluation, evaluate
from gradcli.language.expressions import expression
from gradcli.language.expressions.program import Expression, Step
from gradcli.language.source import Source
from gradcli.results import Inputs, Subject

Place: TypeAlias = tuple[int, ...]
"""Where an operand stands: its number, and behind that its number in a sequence."""

_SEQUENCES = frozenset({"tuple", "list", "slice"})
TAKING_APART = frozenset({"index", "attribute", "unbind"})
"""Steps that take a part out of several results, where what they take from is not a tensor."""
_UNARY = {"-": "neg", "+": "positive"}


def program_of(subject: Subject) -> Expression:
    """The expression of a subject, parsed."""
    return subject.program or expression.parse(Source(subject.expression), tuple(subject.inputs))


def replay(
    program: Expression,
    inputs: Inputs,
    state: Tensor | None,
    before: Before | None = None,
    after: After | None = None,
) -> Evaluation:
    """Run an expression from a state of PyTorch's generator: it draws the numbers that it drew from
    there before.

    `state` is the ByteTensor of torch.get_rng_state, `inputs` may have any shape and dtype.
    """
    if state is not None:
        torch.set_rng_state(state)
    return evaluate(program, inputs, before, after)


@dataclass(frozen=True)
class Use:
    """One use of a tensor that records: as which operand of an operation, and the alias that went
    there.
    """

    place: Place
    tensor: Tensor
    alias: Tensor


@dataclass(eq=False)
class ExecutedOp:
    """One operation as it was computed: its operands as they were made (`sources`), and as they
    were handed to PyTorch.

    `state` is that of PyTorch's generator just before, None where it drew nothing.
    """

    step: Step
    sources: list[Any]
    operands: list[Any]
    uses: list[Use]
    state: Tensor | None
    value: Any = None
    results: list[Tensor] = field(default_factory=list)
    """The tensors that it gave; none where it computes nothing, since a text may nest sequences
    without end."""

    @property
    def computes(self) -> bool:
        """Whether it is more than putting values together, or taking one out of several."""
        kind = self.step.kind
        return kind not in _SEQUENCES and (
            kind not in TAKING_APART or isinstance(self.sources[0], Tensor)
        )

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
        return self.operands[
            self.step.kind == "apply" : len(self.operands) - len(self.step.keywords)
        ]

    @property
    def keywords(self) -> dict[str, Any]:
        """The operands given by name."""
        names = self.step.keywords
        return dict(zip(names, self.operands[len(self.operands) - len(names) :], strict=True))

    def again(self, use: Use, leaf: Tensor) -> Any:
        """The same operation alone with `leaf`, in the shape of the operand, in the place of one
        use; nothing else records. It draws the same numbers.
        """
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


class Trace:
    """The operations of one run in order, its value, and its named steps. All tensors are kept, so
    that identities last.

    `complete` says whether every use was seen; tensors in sequences within sequences are not,
    because an expression may nest those without end.
    """

    def __init__(
        self,
        program: Expression,
        inputs: Inputs,
        state: Tensor | None,
        before: Before,
        *,
        uses: bool = False,
    ) -> None:
        self.program = program
        self.inputs = inputs
        self.operations: list[ExecutedOp] = []
        self.complete = True
        self._before = before
        self._uses = uses
        self.value, self.steps = replay(program, inputs, state, self._enter, self._leave)

    def _enter(self, step: Step, operands: list[Any]) -> None:
        self._before(step, operands)
        state = torch.get_rng_state() if self._uses else None
        one = ExecutedOp(step, list(operands), operands, [], state)
        if self._uses and one.computes:
            operands[:] = [
                self._handed(operand, (i,), one.uses) for i, operand in enumerate(operands)
            ]
        one.operands = list(operands)
        self.operations.append(one)

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
        one = self.operations[-1]
        one.value, one.results = value, list(tensors(value)) if one.computes else []
        if one.state is not None and torch.equal(one.state, torch.get_rng_state()):
            one.state = None


def tensors(value: Any) -> Iterator[Tensor]:
    """A tensor of any shape, or those in a sequence, in order."""
    agenda = [value]
    while agenda:
        item = agenda.pop()
        if isinstance(item, Tensor):
            yield item
        elif isinstance(item, tuple | list):
            agenda.extend(reversed(item))


def _mapped(value: Any, place: Place, found: Mapping[Place, Tensor]) -> Any:
    """An operand with what was found for its place, or for places in it; other tensors are
    detached.
    """
    if isinstance(value, Tensor):
        return found.get(place, value.detach())
    if len(place) == 1 and isinstance(value, tuple | list):
        items = [_mapped(item, (*place, j), found) for j, item in enumerate(value)]
        return items if isinstance(value, list) else tuple(items)
    return value


def leads_to(trace: Trace, name: str) -> bool:
    """Whether operations of any kind lead from the input `name` to the value."""
    touched, known = {id(trace.inputs[name])}, set(map(id, trace.inputs.values()))
    for one in trace.operations:
        made = [one.value, *(one.value if isinstance(one.value, tuple | list) else ())]
        new = {id(each) for each in made if _is_followed(each)} - known
        known |= new
        if any(id(source) in touched for source in one.sources):
            touched |= new
    return id(trace.value) in touched


def _is_followed(value: Any) -> bool:
    return isinstance(value, Tensor | tuple | list | slice) and not isinstance(value, torch.Size)
