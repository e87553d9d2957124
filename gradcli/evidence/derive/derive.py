"""Gradients as formulas: derived by the algebra, and shown only if they equal autograd's numbers."""

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from gradcli import core
from gradcli.algebra import nodes
from gradcli.algebra.adjoint import NoRule
from gradcli.algebra.choice import Simplifier
from gradcli.algebra.formulas import differentiated, inlined
from gradcli.algebra.nodes import Node, TooLong, Unequal, names_of, num, sym
from gradcli.algebra.shared_parts import with_parts_named
from gradcli.algebra.walk import Value, Walk, input_value, walk
from gradcli.algebra.writing import Writer
from gradcli.errors import GradcliError, MathError
from gradcli.evaluate.job import Job, dtype_name, once_more
from gradcli.evaluate.machine import evaluate
from gradcli.evaluate.run import Run
from gradcli.evaluate.trace import program_of
from gradcli.evidence.derive.verify import LARGEST, TOLERANCE, Point, Points, Verified, holds
from gradcli.language.expressions import expression
from gradcli.language.source import Source
from gradcli.results import Subject

LONGEST = 2000
"""Characters of a formula, at most."""
_NAMED = 8 * LONGEST
"""Characters of a formula that is written down: names for its parts may make it shorter."""
_TRANSPARENT = 4000
"""Nodes of a derivation with named steps up to which it is tried without them as well."""
_AT_GIVEN = 1e-6
"""The largest error at the given point; beyond it that point is at a kink."""
_STEPS = 300
"""Steps of an expression whose closed form is looked for, at most."""
_UPSTREAM = ("g", "upstream", "upstream_gradient")


class Derived(NamedTuple):
    """The gradients of an expression as formulas.

    `formulas` by input: a text of the expression language, or None with its entry in `reasons`.
    `upstream` is the name of the upstream gradient in them, if the result is not one number.
    `steps` are (dNAME, text) of every named step, from the result back; `short` the gradients by
    inputs in terms of these.
    """

    formulas: dict[str, str | None]
    upstream: str | None
    steps: list[tuple[str, str]] | None
    verified: dict[str, Verified]
    reasons: dict[str, str]
    short: dict[str, str]


@dataclass
class _Attempt:
    """One way to follow an expression: with its steps as tensors of their own, or without."""

    walk: Walk
    inputs: dict[str, Value]
    upstream: Node


def derive(run: Run, job: Job, *, steps: bool = False) -> Derived:
    """The gradient of an expression by each input in `run.by` as a verified formula.

    Adds the notes these-sizes, unused-input, branch and kink to the job. Raises MathError for an
    expression with random numbers, and for one that is no float or not finite at the given point.
    """
    if not torch.equal(run.state, torch.get_rng_state()):
        message = "derive needs an expression without random numbers"
        raise MathError(message, hint="give the random tensor as an input: x='randn(3)'")
    if not run.value.is_floating_point():
        hint = (
            f"the result is {dtype_name(run.value)}, and only floating-point results have gradients"
        )
        raise MathError(core.NO_PATH, hint=hint, why_entry="no-grad")
    return _derived(run, job.note, steps=steps)


def closed_forms(subject: Subject, job: Job) -> dict[str, Tensor]:
    """The gradients of a float64 subject by its formulas, in the inputs' shapes; what has no formula
    that holds at the subject's own point is left out.
    """
    program = program_of(subject)
    sizes = sum(tensor.numel() for tensor in subject.inputs.values())
    if sizes > LARGEST or len(program.steps) > _STEPS:
        return {}
    before = torch.get_rng_state()
    live = core.require_grad(subject.inputs, subject.by)
    notes: list[str] = []
    try:
        with once_more(torch.float64):
            value, steps = evaluate(program, live, job.before)
            if not torch.equal(before, torch.get_rng_state()):
                return {}
            by = {name: live[name] for name in subject.by}
            run = Run(program, live, by, value, steps, frozenset(), before)
            derived = _derived(run, lambda code, text: notes.append(code))
            names = dict(subject.inputs)
            if derived.upstream:
                given = subject.upstream
                names[derived.upstream] = torch.ones_like(value) if given is None else given
            if "kink" in notes:
                return {}
            return {
                name: evaluate(expression.parse(Source(text), tuple(names)), names).value.detach()
                for name, text in derived.formulas.items()
                if text is not None
            }
    except GradcliError:
        return {}


def _derived(run: Run, note: Callable[[str, str], object], *, steps: bool = False) -> Derived:
    taken = {*run.inputs, *run.program.assigned}
    upstream = ""
    if run.value.ndim:
        names = (*_UPSTREAM, *(f"g{number}" for number in range(len(taken))))
        upstream = next(name for name in names if name not in taken)
    reasons: dict[str, str] = {}
    texts: dict[str, list[str]] = {name: [] for name in run.by}
    sides: dict[str, Value] = {}
    assumed: dict[str, None] = {}
    for named in (True, False) if run.program.assigned else (True,):
        if not named and nodes.spent() and not any(texts.values()):
            break
        if not named and nodes.made() > _TRANSPARENT and any(texts.values()):
            break
        try:
            attempt = _followed(run, named=named, upstream=upstream)
            if not named and attempt.walk.value.node.weight > LONGEST:
                break  # so its gradient is longer than that too
            sides = sides or attempt.inputs
            assumed |= dict.fromkeys(attempt.walk.assumed)
            for name, found in _texts(attempt, run, reasons).items():
                texts[name] += found
        except (NoRule, Unequal, TooLong, RecursionError) as error:
            for name in run.by:
                reasons.setdefault(name, _reason(error))
    if not sides:
        nodes.restart()
        sides = {name: input_value(name, t.shape) for name, t in run.inputs.items()}
    points = Points(run, sides, upstream)
    if points.given is None:
        message = "the expression is not finite at the given point"
        raise MathError(message, hint="choose other numbers: derive begins at a point")
    chosen = _Chosen(points, note)
    formulas: dict[str, str | None] = {}
    for name in run.by:
        unused = name not in points.given.gradients
        candidates = sorted(texts[name], key=len)
        if unused or name not in reasons:
            candidates.append(f"zeros_like({name})")
        formulas[name] = chosen.first(name, candidates)
        if formulas[name] is not None:
            reasons.pop(name, None)
            if unused:
                note("unused-input", f"the result does not depend on {name}: its gradient is 0")
        elif any(len(text) > LONGEST for text in texts[name]):
            reasons[name] = f"longer than {LONGEST} characters"
        else:
            reasons.setdefault(name, "did not verify")
    verified = dict(chosen.verified)
    lines, short = _backward(run, upstream, chosen) if steps else (None, {})
    for text in assumed:
        note("branch", f"the formulas hold where '{text}' decides as it does at the given point")
    return Derived(formulas, upstream or None, lines, verified, reasons, short)


def _followed(run: Run, *, named: bool, upstream: str) -> _Attempt:
    """The expression followed twice, so that all sides that agree are merged before they are used.

    A side of size 1 is open until it meets a longer one.
    """
    single: dict[str, set[int]] = {name: set() for name in run.inputs}
    while True:
        nodes.restart()
        inputs = {name: input_value(name, t.shape, single[name]) for name, t in run.inputs.items()}
        try:
            walk(run.program, inputs, named=named)
            done = walk(run.program, inputs, named=named)
            break
        except Unequal as unequal:
            ones = [side for side in unequal.sides if side.size == 1 and side.places]
            if not ones:
                raise
            for name, axis, _ in ones[0].places:
                single[name].add(axis)
    if [1 if d is None else d.root.size for d in done.value.sides] != list(run.value.shape):
        raise NoRule("no rule for these shapes")
    axes = [axis if axis is not None else () for axis in done.value.axes]
    return _Attempt(done, inputs, sym(upstream, axes) if upstream else num(1))


def _texts(attempt: _Attempt, run: Run, reasons: dict[str, str]) -> dict[str, list[str]]:
    """Texts for the gradient by each input; the reason where there is none."""
    found: dict[str, list[str]] = {}
    gradients = differentiated(attempt.walk, attempt.inputs, attempt.upstream, apart=False)
    for name in run.by:
        node = gradients.inputs.get(name)
        if node is None:
            continue
        try:
            found[name] = list(_written(node, name, attempt, run))
        except (NoRule, TooLong, RecursionError) as error:
            reasons.setdefault(name, _reason(error))
    return found


def _reason(error: Exception) -> str:
    """Why there is no formula. An expression that is nested too deep for the algebra takes too long."""
    return "took too long" if isinstance(error, RecursionError) else str(error)


def _written(node: Node, name: str, attempt: _Attempt, run: Run) -> list[str]:
    """A formula as text, its steps bound before it or put in."""
    walk = attempt.walk
    texts = []
    if node.weight > _NAMED:
        raise TooLong(f"longer than {LONGEST} characters")
    used = names_of(node)
    once = [step for step in walk.steps if used.get(step) == 1]
    forms = [node]
    if once:
        forms.append(Simplifier()(inlined(node, walk, once)))
    writer = Writer({n: v.sides for n, v in attempt.inputs.items()})
    value = attempt.inputs[name]
    taken = {*run.inputs, *run.program.assigned}
    for form in forms:
        if form.weight > _NAMED:
            continue
        text = writer.tensor(form, value.axes, name)
        for step in _needed(form, walk):
            own, computed = walk.steps[step]
            definition = writer.tensor(computed.node, own.axes, "")
            text = f"{step} = {definition}; {text}"
        texts.append(with_parts_named(text, taken))
    return texts


def _needed(node: Node, walk: Walk) -> list[str]:
    """The steps that a formula reads, and those that these read, the last one first."""
    needed = set(names_of(node)) & walk.steps.keys()
    for name, (_, value) in reversed(walk.steps.items()):
        if name in needed:
            needed |= names_of(value.node).keys() & walk.steps.keys()
    return [name for name in reversed(walk.steps) if name in needed]


class _Chosen:
    """Chooses the first text that equals autograd at all points, and keeps how it was verified."""

    def __init__(self, points: Points, note: Callable[[str, str], object]) -> None:
        self._given = points.given
        self._random = points.random()
        self._resized = points.resized()
        self._note = note
        self.verified: dict[str, Verified] = {}

    def first(self, name: str, texts: Sequence[str], above: Collection[str] = ()) -> str | None:
        """The first text for the gradient `name` that holds, at all sizes if there is one; None if
        there is none. `above` are gradients that the texts may read.
        """

        def known(point: Point) -> dict[str, Tensor]:
            return {each: point.gradients[each] for each in above if each in point.gradients}

        found: list[tuple[str, list[float], list[float]]] = []
        for text in dict.fromkeys(texts):
            if len(text) > LONGEST or not self._random:
                continue
            errors = [holds(text, name, point, known(point)) for point in self._random]
            if not all(each <= TOLERANCE for each in errors):  # NaN is not
                continue
            other = [holds(text, name, point, known(point)) for point in self._resized]
            found.append((text, errors, [each for each in other if each <= TOLERANCE]))
            if len(found[-1][2]) == len(other):
                break
        if not found:
            return None
        text, errors, fits = max(found, key=lambda it: len(it[2]))
        if len(fits) < len(self._resized):
            self._note("these-sizes", f"the formula for {name} holds for the given sizes alone")
            fits = []
        assert self._given is not None
        here = holds(text, name, self._given, known(self._given))
        if not here <= _AT_GIVEN:  # NaN too
            where = "where it is 0/0" if math.isnan(here) else "which is at a kink"
            self._note("kink", f"the formula for {name} holds beside the given point, {where}")
        self.verified[name] = Verified(len(errors), len(fits), max([*errors, *fits]))
        return text


def _backward(
    run: Run, upstream: str, chosen: _Chosen
) -> tuple[list[tuple[str, str]], dict[str, str]]:
    """The gradient of every named step from the result back, and those by inputs in terms of these."""
    try:
        attempt = _followed(run, named=True, upstream=upstream)
        found = differentiated(attempt.walk, attempt.inputs, attempt.upstream, apart=True)
    except (NoRule, Unequal, TooLong, RecursionError):
        return [], {}
    writer = Writer({n: v.sides for n, v in attempt.inputs.items()})
    lines: dict[str, str] = {}
    for step, node in found.steps:
        if node.weight > _NAMED:
            continue
        text = writer.tensor(node, attempt.walk.steps[step][0].axes, step)
        if chosen.first(f"d{step}", [text], lines) is not None:
            lines[f"d{step}"] = text
    short = {}
    for name, gradient in found.inputs.items():
        if gradient is not None and name in run.by and gradient.weight <= _NAMED:
            text = writer.tensor(gradient, attempt.inputs[name].axes, name)
            if chosen.first(name, [text], lines) is not None:
                short[name] = text
    return list(lines.items()), short
