"""A recorded run of an expression: which operation took and made which values; and its replay.

With `uses`, each operand that records is passed on as an alias of its own, so that autograd's
gradient for the alias is exactly what it passed on through that use. Everything else is PyTorch's
own run.
"""

import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias, cast

import torch
from torch import Tensor

from gradcli import core
from gradcli.evaluate.machine import VALUES, After, Before, Evaluation, evaluate
from gradcli.language.expressions import expression
from gradcli.language.expressions.program import Expression, Step
from gradcli.language.source import Source
from gradcli.results import Inputs, Subject, step_key

Place: TypeAlias = tuple[int, ...]
"""The place of an operand: its number, and for an item of a sequence the item's number."""

_SEQUENCES = frozenset({"tuple", "list", "slice"})
TAKING_APART = frozenset({"index", "attribute", "unbind"})
"""Steps that take a part out of several results, unless they are applied to a tensor."""
_UNARY = {"-": "neg", "+": "positive"}


def program_of(subject: Subject) -> Expression:
    """The expression of a subject, parsed."""
    return subject.program or expression.parse(Source(subject.expression), tuple(subject.inputs))


def replay(
    program: Expression, inputs: Inputs, state: Tensor | None, before: Before | None = None,
    after: After | None = None
) -> Evaluation:  # fmt: skip
    """Run an expression on inputs of any shape, with the random numbers drawn from `state` on."""
    if state is not None:
        torch.set_rng_state(state)
    return evaluate(program, inputs, before, after)


def raised(program: Expression, name: str) -> Expression:
    """The same expression, with an input of the name `step_key(name)` added to what `name` is bound
    to last.
    """
    stores = [n for n, s in enumerate(program.steps) if (s.kind, s.name) == ("store", name)]
    at, span = stores[-1], program.steps[stores[-1]].span
    added = Step("load", span, name=step_key(name)), Step("operator", span, 2, "+")
    later = [
        step._replace(value=cast(int, step.value) + len(added))
        if step.kind in ("jump", "branch")
        else step
        for step in program.steps[at:]
    ]
    return replace(program, steps=(*program.steps[:at], *added, *later))


def pushed(
    program: Expression, inputs: Inputs, tangents: Inputs, state: Tensor | None,
    before: Before | None = None
) -> tuple[Tensor, dict[str, Tensor]]:  # fmt: skip
    """The tangent of an expression's value, and of each of its steps: the derivative in the direction
    `tangents`, which have the shapes and dtypes of the inputs of these names, by forward mode.

    A tangent is 0 where no differentiable operation leads from these inputs. Raises GradcliError, a
    NoForwardError for an operation without forward mode.
    """
    with core.forward_mode() as forward:
        outcome = replay(program, forward.duals(inputs, tangents), state, before)
        steps = {name: forward.tangent(step) for name, step in outcome.intermediates.items()}
        return forward.tangent(outcome.value), steps


@dataclass(frozen=True)
class Use:
    """One use of a tensor that records: as which operand, and its alias of the same shape."""

    place: Place
    tensor: Tensor
    alias: Tensor


@dataclass(eq=False)
class ExecutedOp:
    """One computed operation: `sources` are its operands, `operands` those passed to PyTorch.

    `state` is that of PyTorch's generator just before, or None if it drew nothing.
    """

    step: Step
    sources: list[Any]
    operands: list[Any]
    uses: list[Use]
    state: Tensor | None
    value: Any = None
    results: list[Tensor] = field(default_factory=list)
    """The tensors that it made; none if it computes nothing, since a text may nest sequences
    without end."""

    @property
    def computes(self) -> bool:
        """Whether it does more than build a sequence, or take a part out of one."""
        kind = self.step.kind
        takes_apart = kind in TAKING_APART and not isinstance(self.sources[0], Tensor)
        return not takes_apart and kind not in _SEQUENCES

    @property
    def name(self) -> str:
        """Its symbol, or the last part of its function's name."""
        step = self.step
        if step.kind == "apply":
            return type(self.operands[0]).__name__
        if step.kind == "operator" and step.take == 1:
            return _UNARY.get(step.name, step.name)
        return step.name.rpartition(".")[2] or step.kind

    @property
    def arguments(self) -> list[Any]:
        """The operands without those given by name and without a module."""
        return self.step.split(self.operands)[0][self.step.kind == "apply" :]

    @property
    def keywords(self) -> dict[str, Any]:
        """The operands given by name."""
        return self.step.split(self.operands)[1]

    def again(self, leaves: Mapping[Place, Tensor]) -> Any:
        """The same operation with the same random numbers, and `leaves`, of the same shapes, in the
        places of some uses.
        """
        operands = [_mapped(operand, (i,), leaves) for i, operand in enumerate(self.operands)]
        now = torch.get_rng_state()
        if self.state is not None:
            torch.set_rng_state(self.state)
        try:
            with warnings.catch_warnings(action="ignore"):  # collected in the run itself
                return VALUES[self.step.kind](self.step)(*operands)
        finally:
            torch.set_rng_state(now)


class Trace:
    """The operations of one run in order, its value, and its named steps.

    All tensors are kept, so that their ids stay unique. `complete` says whether every use was
    recorded; tensors in sequences within sequences are not, because an expression may nest those
    without end.
    """

    def __init__(
        self, program: Expression, inputs: Inputs, state: Tensor | None,
        before: Before = lambda step, operands: None, *, uses: bool = False
    ) -> None:  # fmt: skip
        self.program = program
        self.inputs = inputs
        self.operations: list[ExecutedOp] = []
        self.complete = True
        self._before = before
        self._uses = uses
        self.value, self.steps, *_ = replay(program, inputs, state, self._enter, self._leave)

    @property
    def followed(self) -> list[ExecutedOp]:
        """The operations that made tensors of those that record."""
        return [op for op in self.operations if op.uses and op.results]

    def reached(
        self, leaves: Iterable[Tensor], upstream: Tensor | None, *, keep: bool = False
    ) -> dict[int, Tensor]:
        """What reached each of `leaves`, and each use and result, by the tensor's id, in its shape: one
        call of autograd, from an upstream gradient in the shape of the value. `keep` keeps the graph.
        """
        tensors = [*leaves]
        for op in self.followed:
            tensors += [use.alias for use in op.uses]
            tensors += [result for result in op.results if result.requires_grad]
        distinct = {str(id(tensor)): tensor for tensor in tensors}
        found = core.gradients(self.value, distinct, upstream=upstream, keep=keep)
        return {int(key): g.to_dense() for key, g in found.items() if g is not None}

    def _enter(self, step: Step, operands: list[Any]) -> None:
        self._before(step, operands)
        state = torch.get_rng_state() if self._uses else None
        op = ExecutedOp(step, list(operands), operands, [], state)
        if self._uses and op.computes:
            operands[:] = [self._aliased(value, (i,), op.uses) for i, value in enumerate(operands)]
        if any(name.startswith(".") for name in step.keywords):
            _join(operands, op.uses)
        op.operands = list(operands)
        self.operations.append(op)

    def _aliased(self, value: Any, place: Place, uses: list[Use]) -> Any:
        """The operand itself, or an alias for each tensor that records."""
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
        items = [self._aliased(item, (*place, j), uses) for j, item in enumerate(value)]
        return items if isinstance(value, list) else tuple(items)

    def _leave(self, step: Step, value: Any) -> None:
        op = self.operations[-1]
        op.value, op.results = value, list(tensors(value)) if op.computes else []
        if op.state is not None and torch.equal(op.state, torch.get_rng_state()):
            op.state = None


def _join(operands: list[Any], uses: list[Use]) -> None:
    """Make several uses of one tensor by a layer one use: attention computes another way if its query,
    key and value are not the same object.
    """
    first: dict[int, Use] = {}
    for use in uses:
        first.setdefault(id(use.tensor), use)
    one = {id(use.alias): first[id(use.tensor)].alias for use in uses}
    operands[:] = [one.get(id(operand), operand) for operand in operands]
    uses[:] = first.values()


def tensors(value: Any) -> Iterator[Tensor]:
    """A tensor of any shape, or those in a sequence, in order."""
    agenda = [value]
    while agenda:
        item = agenda.pop()
        if isinstance(item, Tensor):
            yield item
        elif isinstance(item, tuple | list):
            agenda.extend(reversed(item))


def _mapped(value: Any, place: Place, leaves: Mapping[Place, Tensor]) -> Any:
    """An operand with the tensors in `leaves` at their places; other tensors are detached."""
    if isinstance(value, Tensor):
        return leaves.get(place, value.detach())
    if len(place) == 1 and isinstance(value, tuple | list):
        items = [_mapped(item, (*place, j), leaves) for j, item in enumerate(value)]
        return items if isinstance(value, list) else tuple(items)
    return value


def leads_to(trace: Trace, name: str) -> bool:
    """Whether operations of any kind lead from the input `name` to the value."""
    touched, seen = {id(trace.inputs[name])}, set(map(id, trace.inputs.values()))
    for op in trace.operations:
        values = [op.value, *(op.value if isinstance(op.value, tuple | list) else ())]
        followed = (value for value in values if isinstance(value, Tensor | tuple | list | slice))
        new = {id(value) for value in followed if not isinstance(value, torch.Size)} - seen
        seen |= new
        if any(id(source) in touched for source in op.sources):
            touched |= new
    return id(trace.value) in touched
