"""Slips found in the ledger: the gradient with one thing left out of the chain rule, or swapped.

The chain rule is linear in each product that an operation passes on. So the gradient with a slip is
the right one, plus what the change of that one product adds on its way back to the input.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

from gradcli import core
from gradcli.catalogue import derivative_rules
from gradcli.catalogue.slips import OMISSIONS
from gradcli.errors import GradcliError
from gradcli.evaluate.job import Job, in_float64, together
from gradcli.evaluate.naming import Names
from gradcli.evaluate.rerun import Rerun, widened
from gradcli.evaluate.trace import ExecutedOp, Use
from gradcli.evidence.expect.guesses import FEWEST
from gradcli.evidence.explain.ledger import shown
from gradcli.evidence.explain.local_rules import Local, is_elementwise, known_as, local_rule, slope
from gradcli.results import Inputs, Subject

OPERATIONS = 60
"""Operations between an input and the value that are searched for slips, from the value back."""
STEPS = 12_000
"""Those times the operations that each gradient may go back through, at most."""
NUMBERS = 200_000
"""Elements of the input and all results together up to which an expression is followed."""

Point: TypeAlias = tuple[Inputs, Tensor, Tensor | None]
"""Inputs and the user's gradient there, of any shape, and the upstream gradient; None for the subject's own."""
Fits: TypeAlias = Callable[[Tensor, Tensor], bool | None]
"""Whether the user's gradient, the first, is that of a slip, the second; of any two shapes. None if
all of both is 0, which shows nothing."""


def _same(left: Tensor, right: Tensor) -> bool:
    """Whether two gradients of any shapes are equal but for rounding, and finite."""
    if left.shape != right.shape or not right.numel() or not bool(right.isfinite().all()):
        return False
    return torch.allclose(left, right, rtol=1e-6, atol=1e-9 * float(right.abs().max()))


class Omission(NamedTuple):
    """A slip, the name of the row of --explain that it is about, and what it is and what to do."""

    slip: str
    row: str
    words: str


def named(
    subject: Subject, name: str, points: Sequence[Point], job: Job, fits: Fits = _same
) -> Omission | None:
    """The one slip that gives the user's gradient for `name`, an input or a step, at every point, and
    shows at enough of them.

    None if none does, or if several do that differ elsewhere. Those that are the same function of
    the inputs count as one, the first. Nothing is left out of a gradient that is 0 at every point.
    Nor is 1 a sign of what was left out, if it is the only number or the path is one operation.
    """
    chain = Chain(subject, name, job)
    found, wrong = chain.slips(), False
    differ: set[_Slip] = set()
    evidence: Counter[_Slip] = Counter()
    for inputs, expected, upstream in points:
        run = chain.at(inputs, upstream)
        if run is None or not found:
            return None
        alone = run.single or expected.numel() == len(points) == 1
        wrong |= bool(run.total.any()) and not (alone and bool((expected.abs() == 1).all()))
        gradients = [(each, run.gradient(each)) for each in found]
        tried = [(each, g, fits(expected, g)) for each, g in gradients if g is not None]
        found = [each for each, _, fit in tried if fit is not False]
        evidence.update(each for each, _, fit in tried if fit)
        differ |= {each for each, g, fit in tried if fit and not _same(g, run.total)}
    differ = {each for each in differ if evidence[each] >= min(FEWEST, len(points))}
    found = [each for each in found if each in differ and (wrong or each.name == "missing-sum")]
    return chain.described(found[0]) if found and chain.is_one_function(found) else None


class _Slip(NamedTuple):
    """A slip, and the use that it changes: the number of its operation, and its own; all uses of the
    operation if that is None. `variant` tells several forms of one slip apart. Without a name it is
    that place alone.
    """

    name: str
    operation: int
    use: int | None = None
    variant: int = 0


class Chain:
    """The expression between a value and one of its inputs or steps, run at one point at a time."""

    def __init__(self, subject: Subject, name: str, job: Job) -> None:
        self._subject, self._name = subject, name
        self._rerun = Rerun(subject, job)
        self._latest: tuple[Inputs, _Run | None] | None = None

    def slips(self) -> list[_Slip]:
        """Every slip that is possible at the subject's own inputs, in the order in which they are
        named; none if the expression cannot be followed.
        """
        run = self.at(self._rerun.inputs)
        return [] if run is None else run.slips()

    def at(self, inputs: Inputs, upstream: Tensor | None = None) -> "_Run | None":
        """The run at these inputs, which is kept until others come; None if it is refused.
        `upstream` replaces the subject's upstream gradient.
        """
        if self._latest is None or self._latest[0] is not inputs:
            self._latest = inputs, None
            with suppress(GradcliError, _NotFollowedError):
                self._latest = inputs, _Run(self._rerun, inputs, self._name, upstream)
        return self._latest[1]

    def is_one_function(self, found: Sequence[_Slip]) -> bool:
        """Whether slips that agree at one point give the same gradient at others too."""
        if len(found) == 1:
            return True
        compared = 0
        for inputs in _nearby(self._subject.inputs):
            run = self.at(inputs)
            first, *others = [None if run is None else run.gradient(each) for each in found]
            if all(g is None or not bool(g.isfinite().all()) for g in (first, *others)):
                continue  # outside the domain
            if first is None or any(other is None or not _same(first, other) for other in others):
                return False
            compared += 1
        return compared > 0

    def described(self, slip: _Slip) -> Omission:
        """A slip in words, at the subject's own inputs."""
        run = self.at(self._rerun.inputs)
        assert run is not None
        label, words = run.described(slip)
        row = f"{self._subject.name}: {label}" if self._subject.name else label
        return Omission(slip.name, row, f"{words} (the row `{row}` of --explain)")


class _NotFollowedError(Exception):
    """The expression is too large, or no gradient reaches the input."""


class _Run:
    """One run in float64 with every use kept apart, and the gradient that reached each tensor."""

    def __init__(self, rerun: Rerun, inputs: Inputs, name: str, upstream: Tensor | None) -> None:
        by = (name,) if name in inputs else rerun.by
        live = core.require_grad(inputs, by)
        self._trace = rerun.trace(live, uses=True)
        target = live.get(name, self._trace.steps.get(name))
        self._operations = self._trace.followed[::-1]
        if target is None or not self._trace.value.requires_grad:
            raise _NotFollowedError
        numbers = sum(result.numel() for op in self._operations for result in op.results)
        if target.numel() + numbers > NUMBERS:
            raise _NotFollowedError
        self._target = target
        upstream = rerun.upstream if upstream is None else upstream
        self._reached = self._trace.reached([target], upstream, keep=True)
        if id(self._target) not in self._reached:
            raise _NotFollowedError
        self.total = self._reached[id(self._target)]

    def slips(self) -> list[_Slip]:
        """The slips that are possible here, in the order in which they are named."""
        on_path = self._on_path()[: STEPS // max(1, len(self._operations))][:OPERATIONS]
        uses = [_Slip("", number, place) for number, places in on_path for place in places]
        joins = [_Slip("", number) for number, places in on_path if len(places) > 1]
        counts = Counter(id(self._use(place).tensor) for place in uses)
        several = [place for place in uses if counts[id(self._use(place).tensor)] > 1]
        joined = {place.operation for place in joins}
        rest = [place for place in uses if place.operation in joined and place not in several]
        places = {
            "missing-path": several + rest,
            "swapped": [place._replace(variant=i) for place in uses for i in range(_ORDERS)],
            "upstream": sorted(joins + uses, key=lambda place: place.operation),
        }
        return [place._replace(name=name) for name in OMISSIONS for place in places.get(name, uses)]

    @property
    def single(self) -> bool:
        """Whether there is but one operation between the input and the value."""
        return len(self._on_path()) == 1

    def _use(self, slip: _Slip) -> Use:
        """The use that a slip changes, the first one if it changes all."""
        return self._operations[slip.operation].uses[slip.use or 0]

    def _on_path(self) -> list[tuple[int, list[int]]]:
        """The numbers of the operations that a gradient reached, and of their uses that it did."""
        found = []
        for number, op in enumerate(self._operations):
            if places := [i for i, use in enumerate(op.uses) if id(use.alias) in self._reached]:
                found.append((number, places))
        return found

    # --- gradients -------------------------------------------------------------------------------

    def gradient(self, slip: _Slip) -> Tensor | None:
        """The gradient with a slip, in float64, in the input's shape or as it was broadcast; None if
        it is not possible here, or if PyTorch refuses it.
        """
        if slip.operation >= len(self._operations):
            return None
        with suppress(GradcliError), in_float64():  # a complex step is refused
            gradient = self._gradient(slip)
            return None if gradient is None or gradient.is_complex() else gradient
        return None

    def _gradient(self, slip: _Slip) -> Tensor | None:
        op = self._operations[slip.operation]
        changes = []
        for use in op.uses if slip.use is None else [op.uses[slip.use]]:
            if (product := self._reached.get(id(use.alias))) is None:
                continue
            if slip.name == "missing-sum":
                copies = self._copies(op, use)
                return None if copies is None else self.total - product + copies
            passed = self._passed(slip, op, use, product)
            change = None if passed is None else self._back(use.tensor, passed - product)
            changes += [] if change is None else [change]
        return sum(changes, self.total) if changes else None

    def _passed(self, slip: _Slip, op: ExecutedOp, use: Use, product: Tensor) -> Tensor | None:
        """What the operation passes on to a use after a slip, in the operand's shape."""
        if slip.name == "missing-path":
            return torch.zeros_like(product)
        if slip.name == "upstream":
            # The local derivatives alone, as if every gradient above were 1.
            total = torch.stack([result.sum() for result in self._results(op)]).sum()
            return core.gradients(total, {"": use.alias}, keep=True)[""]
        if (found := self._only(op)) is None:
            return None
        if slip.name == "missing-factor":
            return _without_factor(op, use, *found)
        return _swapped(op, use, *found, slip.variant)

    def _results(self, op: ExecutedOp) -> list[Tensor]:
        """The results that a gradient reached."""
        return [result for result in op.results if id(result) in self._reached]

    def _only(self, op: ExecutedOp) -> tuple[Tensor, Tensor] | None:
        """The only result that a gradient reached, and that gradient."""
        first, *others = self._results(op)
        return None if others else (first, self._reached[id(first)])

    def _back(self, tensor: Tensor, gradient: Tensor) -> Tensor | None:
        """What a gradient of `tensor`, in its shape, adds to that of the input; None for no path."""
        if tensor is self._target:
            return gradient
        return core.gradients(tensor, {"": self._target}, upstream=gradient, keep=True)[""]

    def _copies(self, op: ExecutedOp, use: Use) -> Tensor | None:
        """The gradient for each copy of the input, if it is an operand that was broadcast."""
        found = self._only(op)
        if found is None or use.tensor is not self._target:
            return None
        if not (shape := _broadcast(op, use, found[0])):
            return None
        is_bias = known_as(op) == "linear" and use.place[0] - (op.step.kind == "apply") == 2
        return found[1] if is_bias else slope(op, use, shape, found[1])

    # --- words -----------------------------------------------------------------------------------

    def described(self, slip: _Slip) -> tuple[str, str]:
        """The ledger's name of an operation's row, and the words of a slip there."""
        names = Names(self._trace)
        op, use = self._operations[slip.operation], self._use(slip)
        label = shown(names, op, self._reached)[0]
        operand, found, local = names.of(use.tensor), self._only(op), ""
        if found is not None and (product := self._reached.get(id(use.alias))) is not None:
            with in_float64():
                rule = local_rule(names, op, use, [found], product)
            local = _equation(label, operand, rule)
        broadcast = None if found is None else _broadcast(op, use, found[0])
        return label, OMISSIONS[slip.name].format(
            operand=operand, local=local, shape=list(use.tensor.shape), broadcast=broadcast
        )


_ORDERS = 5
"""The forms of `swapped`: the orders of the factors of a matrix product."""


def _without_factor(op: ExecutedOp, use: Use, result: Tensor, upstream: Tensor) -> Tensor | None:
    """What reaches an operand if the local derivative is taken for 1, in the operand's shape; None
    for an operation that only moves numbers, or mixes them so that shapes differ.
    """
    if known_as(op) in derivative_rules.MOVES:
        return None
    if not result.ndim:
        return upstream.expand(use.tensor.shape)
    expands = _expanded(use.tensor, result) == list(result.shape)
    return upstream.sum_to_size(use.tensor.shape) if expands else None


def _swapped(
    op: ExecutedOp, use: Use, result: Tensor, upstream: Tensor, variant: int
) -> Tensor | None:
    """What reaches one of two operands, in its shape, if they are mixed up in its local derivative.

    Of a matrix product: its factors in each other order. Of any other operation of two tensors: the
    local derivative of the other operand, or that of this one with the two exchanged.
    """
    place, pair = use.place[0], op.arguments[:2]
    if op.step.kind == "apply" or len(use.place) > 1 or place > 1:
        return None
    if len(pair) < 2 or not all(isinstance(operand, Tensor) for operand in pair):
        return None
    if known_as(op) == "@" and result.ndim:
        return _product(pair, place, use.tensor, upstream, variant)
    operand, other = pair[place], pair[1 - place]
    one_by_one = is_elementwise(op) or (not result.ndim and pair[0].shape == pair[1].shape)
    if variant > 1 or not one_by_one:
        return None
    shape = result.shape if result.ndim else operand.shape
    if variant:
        exchanged = replace(op, operands=[*reversed(pair), *op.operands[2:]])
        local = slope(exchanged, Use(use.place, other, other), shape)
    else:
        local = slope(op, Use((1 - place,), other, other), shape)
    return None if local is None else (upstream * local).sum_to_size(operand.shape)


def _product(
    pair: Sequence[Tensor], place: int, operand: Tensor, upstream: Tensor, variant: int
) -> Tensor | None:
    """The factors of a matrix product's rule in another order, if the shape is that of `operand`."""
    tensors = (pair[1 - place].detach(), operand.detach(), upstream)
    own, alien, turned = (tensor.mT if tensor.ndim > 1 else tensor for tensor in tensors)
    orders = (
        (own, upstream), (upstream, own), (alien, upstream), (upstream, alien),
        (turned, tensors[0]) if place else (tensors[0], turned),
    )  # fmt: skip
    try:
        product = torch.matmul(*orders[variant])
    except RuntimeError:  # their shapes do not fit
        return None
    return product if product.shape == operand.shape else None


def _broadcast(op: ExecutedOp, use: Use, result: Tensor) -> list[int]:
    """The shape that an operand was broadcast to; empty if it was not."""
    whole = [result] if result.ndim else [t for t in op.arguments if isinstance(t, Tensor)]
    shape = _expanded(*whole)
    fits = shape != list(use.tensor.shape) and _expanded(use.tensor, *whole) == shape
    return shape if fits else []


def _expanded(*tensors: Tensor) -> list[int]:
    """The shape that tensors broadcast to; empty if they do not."""
    try:
        return together(*(tensor.shape for tensor in tensors))
    except RuntimeError:
        return []


def _equation(result: str, operand: str, local: Local) -> str:
    """The local derivative as an equation, or the rule of an operation without a formula."""
    if not isinstance(local.value, Tensor):
        return local.rule
    above, below = (name if name.isidentifier() else f"({name})" for name in (result, operand))
    return f"d{above}/d{below} = {local.rule}"


def _nearby(inputs: Inputs) -> Iterator[Inputs]:
    """Inputs of the same shapes and signs nearby, on the same side of most kinks; integers are kept.

    What is equal around a point is one function there.
    """
    generator = torch.Generator().manual_seed(0)
    for _ in range(3):
        moved = {name: widened(tensor) for name, tensor in inputs.items()}
        for name, tensor in moved.items():
            if tensor.is_floating_point():
                random = torch.rand(tensor.shape, generator=generator, dtype=torch.float64) - 0.5
                moved[name] = tensor + 0.1 * random * tensor.where(tensor != 0, 1.0)
        yield moved
