"""Gradients as formulas: derived by the algebra, and shown only if they equal autograd's numbers."""

import math
import re
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from gradcli import core
from gradcli.algebra import nodes
from gradcli.algebra.choice import Simplifier
from gradcli.algebra.gradients import differentiated, inlined
from gradcli.algebra.nodes import Node, NoFormulaError, NoRuleError, TooLongError, UnequalError
from gradcli.algebra.shared_parts import with_parts_named
from gradcli.algebra.walk import Value, Walk, input_value, walk
from gradcli.algebra.writing.writer import Writer
from gradcli.errors import GradcliError, MathError
from gradcli.evaluate.job import Job, in_float64
from gradcli.evaluate.machine import evaluate, evaluated
from gradcli.evaluate.run import Run, class_indices, note_unreached
from gradcli.evaluate.trace import program_of
from gradcli.evidence.derive.verify import LARGEST, TOLERANCE, Point, Points, Verified, holds
from gradcli.language.assignment import in_expression
from gradcli.results import Subject, one_hot

LONGEST = 2000
"""Characters of a formula, at most."""
_WRITTEN = 8 * LONGEST
"""Characters of a formula that is written down: names for its parts may make it shorter."""
_TRANSPARENT = 4000
"""Nodes of a derivation with named steps up to which it is tried without them as well."""
_AT_GIVEN = 1e-6
"""The largest error at the given point; beyond it that point is at a kink."""
_STEPS = 300
"""Steps of an expression whose closed form is looked for, at most."""
_SIZE = re.compile(r"(?<![\w.*])(?<!shape\[)\d+(?![\w.*/])|(?<=/)\d+(?![\w.])")
_COMPARISON = re.compile(r"[<>]|[=!]=")
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


class _Attempt(NamedTuple):
    """One way to follow an expression: with its steps as tensors of their own, or without.

    `dropped` are sides of size 1 that the expression drops, each by its inputs and axes.
    """

    run: Run
    walk: Walk
    inputs: dict[str, Value]
    upstream: Node
    dropped: list[frozenset[tuple[str, int]]]

    def writer(self) -> Writer:
        """A new writer of formulas."""
        given = self.run.inputs
        floats = {name for name in self.run.indices if given[name].is_floating_point()}
        return Writer({name: value.sides for name, value in self.inputs.items()}, floats)


def derive(run: Run, job: Job, *, steps: bool = False) -> Derived:
    """The gradient of an expression by each input in `run.by` as a verified formula.

    Adds the notes these-sizes, unused-input, no-derivative, branch, kink and not-a-number to the job.
    Raises MathError for an expression with random numbers, and for one that is not finite at the
    given point.
    """
    if not torch.equal(run.state, torch.get_rng_state()):
        message = "derive needs an expression without random numbers"
        raise MathError(message, hint="give the random tensor as an input: x='randn(3)'")
    return _derived(run, job.note, steps=steps)


class ClosedForms:
    """The gradients of a float64 subject by the formulas for them, which are derived once.

    They were compared with autograd at other points than the subject's own.
    """

    def __init__(self, subject: Subject, job: Job) -> None:
        self._subject = subject
        self._job = job

    def of(self, name: str) -> Tensor | None:
        """The gradient for the input `name`, in its shape; a Jacobian or a Hessian whole, [rows,
        elements of the input]. None without a formula, or for no numbers or too many.
        """
        try:
            with in_float64():
                return self._of(name)
        except (GradcliError, NoFormulaError):
            return None

    def _of(self, name: str) -> Tensor:
        subject = self._subject
        if subject.kind == "hessian":
            return torch.cat([gradient._of(name) for gradient in self._gradients])
        upstream, value = self._derived.upstream, self._run.value.detach()
        if subject.kind == "jacobian":
            if not 0 < value.numel() * subject.inputs[name].numel() <= LARGEST:
                raise NoFormulaError
            ups = [one_hot(value, row) for row in range(value.numel())]
            return torch.stack([self._evaluated(name, up).reshape(-1) for up in ups])
        given = torch.ones_like(value) if subject.upstream is None else subject.upstream
        found = self._evaluated(name, given)
        return found if upstream else found * given.reshape(())

    @cached_property
    def _gradients(self) -> list["ClosedForms"]:
        """The gradients for all inputs, whose Jacobians are the rows of a Hessian."""
        subject = self._subject._replace(kind="jacobian", program=None)
        texts = map(self._text, subject.by)
        return [ClosedForms(subject._replace(expression=text), self._job) for text in texts]

    def _text(self, name: str) -> str:
        text = self._derived.formulas.get(name)
        if text is None:
            raise NoFormulaError
        return text

    def _evaluated(self, name: str, upstream: Tensor) -> Tensor:
        names = dict(self._subject.inputs)
        if self._derived.upstream:
            names[self._derived.upstream] = upstream
        return evaluated(self._text(name), names).detach().double()

    @cached_property
    def _derived(self) -> Derived:
        return _derived(self._run, lambda code, text: None)

    @cached_property
    def _run(self) -> Run:
        subject, program = self._subject, program_of(self._subject)
        sizes = sum(tensor.numel() for tensor in subject.inputs.values())
        if sizes > LARGEST or len(program.steps) > _STEPS:
            raise NoFormulaError
        before = torch.get_rng_state()
        live = core.require_grad(subject.inputs, subject.by)
        value, steps, *_ = evaluate(program, live, self._job.before)
        if not torch.equal(before, torch.get_rng_state()):
            raise NoFormulaError
        by = {name: live[name] for name in subject.by}
        return Run(program, live, by, value, steps, class_indices(program, live), before, value)


def _derived(run: Run, note: Callable[[str, str], object], *, steps: bool = False) -> Derived:
    search = _Search(run)
    search.follow(named=True)
    enough = nodes.made() > _TRANSPARENT and any(search.texts.values())
    if run.program.assigned and not (enough or nodes.spent()):
        search.follow(named=False)
    sides, dropped = (search.first.inputs, search.first.dropped) if search.first else ({}, [])
    upstream, reasons = search.upstream, search.reasons
    points = Points(run, sides, upstream, dropped)
    if points.given is None:
        message = "the expression is not finite at the given point"
        raise MathError(message, hint="choose other numbers: derive begins at a point")
    if dropped and points.beyond:
        search.follow(named=True, flattens=True)
    chosen = _Chosen(points, Points(run, sides, upstream, dropped, masks=True), note)
    formulas: dict[str, str | None] = {}
    for name, texts in search.texts.items():
        unused = name not in points.given.gradients
        candidates = sorted(texts, key=len)
        if unused or not (candidates or name in reasons):
            candidates.append(f"zeros_like({in_expression(name)})")
        formulas[name] = chosen.first(name, candidates)
        if formulas[name] is not None:
            reasons.pop(name, None)
            if unused:
                note_unreached(run, name, note, "its gradient is 0")
        elif any(len(text) > LONGEST for text in texts):
            reasons[name] = f"longer than {LONGEST} characters"
        else:
            reasons.setdefault(name, "did not verify")
    verified = dict(chosen.verified)
    lines, short = _backward(run, upstream, chosen) if steps else (None, {})
    for text in search.assumed:
        note("branch", f"the formulas hold where '{text}' decides as it does at the given point")
    return Derived(formulas, upstream or None, lines, verified, reasons, short)


class _Search:
    """Texts for the gradients of a run, by input, and the reasons where there are none.

    `upstream` is a name for the upstream gradient that is free, empty if the value is one number.
    `assumed` are the conditions under which the texts hold.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._taken = {*run.inputs, *run.program.assigned}
        names = (*_UPSTREAM, *(f"g{number}" for number in range(len(self._taken))))
        free = next(name for name in names if name not in self._taken)
        self.upstream = "" if run.value.numel() == 1 else free
        self.texts: dict[str, list[str]] = {name: [] for name in run.by}
        self.reasons: dict[str, str] = {}
        self.assumed: dict[str, None] = {}
        self.first: _Attempt | None = None
        self._own: dict[str, str] = {}

    def follow(self, *, named: bool, flattens: bool = False) -> None:
        """Add the texts that are found in one way, as `_followed` tells them apart."""
        run = self._run
        try:
            attempt = _followed(run, named=named, upstream=self.upstream, flattens=flattens)
            if not named and attempt.walk.value.node.weight > LONGEST:
                return  # so its gradient is longer than that too
            self.first = self.first or attempt
            self.assumed |= dict.fromkeys(attempt.walk.assumed)
            found = self._found(attempt)
            own = self._own
            own |= _steps_as_texts(attempt)
            for name, several in found.items():
                self.texts[name] += [with_parts_named(text, self._taken, own) for text in several]
        except (NoFormulaError, RecursionError) as error:
            for name in run.by:
                self.reasons.setdefault(name, _reason(error))

    def _found(self, attempt: _Attempt) -> dict[str, list[str]]:
        """Texts for the gradient for each input that has one."""
        found: dict[str, list[str]] = {}
        gradients = differentiated(attempt.walk, attempt.inputs, attempt.upstream, apart=False)
        wanted = []
        for name in self._run.by:
            if name in gradients.lost:
                self.reasons.setdefault(name, gradients.lost[name])
            if (node := gradients.inputs.get(name)) is not None:
                wanted.append((name, node))
        # All share the bound on the work: one that takes too long comes last.
        for name, node in sorted(wanted, key=lambda it: it[1].weight):
            try:
                found[name] = _written(node, name, attempt)
            except (NoFormulaError, RecursionError) as error:
                self.reasons.setdefault(name, _reason(error))
        return found


def _followed(run: Run, *, named: bool, upstream: str, flattens: bool = False) -> _Attempt:
    """The expression followed twice, so that all sides that agree are merged before they are used.

    A side of size 1 is open until it meets a longer one or is dropped; with `flattens` no reshape
    that joins sides drops one.
    """
    single: dict[str, set[int]] = {name: set() for name in run.inputs}
    dropped: list[frozenset[tuple[str, int]]] = []
    while True:
        nodes.restart()
        nodes.state().flattens = flattens
        nodes.state().conditions |= {n for n, t in run.inputs.items() if t.dtype is torch.bool}
        inputs = {name: input_value(name, t.shape, single[name]) for name, t in run.inputs.items()}
        try:
            walk(run.program, inputs, named=named)
            done = walk(run.program, inputs, named=named)
        except UnequalError as unequal:
            ones = [side for side in unequal.sides if side.size == 1 and side.places]
            if not ones:
                raise
            if unequal.sides[0] is unequal.sides[1]:
                dropped.append(frozenset(place[:2] for place in ones[0].root.places))
        else:
            # A result of one number has no open sides.
            ones = [] if upstream else [d.root for d in done.value.sides if d and d.root.places]
            if not ones:
                break
        for name, axis, _ in ones[0].places:
            single[name].add(axis)
    if [1 if d is None else d.root.size for d in done.value.sides] != list(run.value.shape):
        raise NoRuleError("no rule for these shapes")
    axes = [axis if axis is not None else () for axis in done.value.axes]
    above = nodes.sym(upstream, axes) if upstream else nodes.num(1)
    return _Attempt(run, done, inputs, above, dropped)


def _reason(error: Exception) -> str:
    """Why there is no formula; an expression that is nested too deep for the algebra takes too long."""
    return "took too long" if isinstance(error, RecursionError) else str(error)


def _written(node: Node, name: str, attempt: _Attempt) -> list[str]:
    """A formula as text, its steps bound before it or put in."""
    walk = attempt.walk
    texts = []
    if node.weight > _WRITTEN:
        raise TooLongError(f"longer than {LONGEST} characters")
    used = nodes.uses_of(node)
    once = [step for step in walk.steps if used.get(step) == 1]
    forms = [node]
    if once:
        forms.append(Simplifier()(inlined(node, {step: walk.steps[step] for step in once})))
    writer = attempt.writer()
    for form in forms:
        if form.weight > _WRITTEN:
            continue
        text = writer.tensor(form, attempt.inputs[name].axes, name)
        for step in _needed(form, walk):
            own, computed = walk.steps[step]
            text = f"{step} = {writer.tensor(computed.node, own.axes, '')}; {text}"
        texts.append(text)
    return texts


def _steps_as_texts(attempt: _Attempt) -> dict[str, str]:
    """The name of each step by its text, in which there are only inputs."""
    steps, writer = attempt.walk.steps, attempt.writer()
    found = {}
    short: dict[str, tuple[Value, Value]] = {}
    for step, (own, computed) in steps.items():
        if nodes.names_of(computed.node) & steps.keys() <= short.keys():
            with suppress(NoFormulaError, RecursionError):
                node = inlined(computed.node, short)
                if node.weight <= LONGEST:
                    found[writer.tensor(node, own.axes, "")] = step
                    short[step] = own, computed.but(node=node)
    return found


def _needed(node: Node, walk: Walk) -> list[str]:
    """The steps that a formula reads, and those that these read, the last one first."""
    needed = nodes.names_of(node) & walk.steps.keys()
    for name, (_, value) in reversed(walk.steps.items()):
        if name in needed:
            needed |= nodes.names_of(value.node) & walk.steps.keys()
    return [name for name in reversed(walk.steps) if name in needed]


class _Chosen:
    """Chooses the first text that equals autograd at all points, and keeps how it was verified."""

    def __init__(self, points: Points, masked: Points, note: Callable[[str, str], object]) -> None:
        self._points = points
        self._masked = masked
        self._note = note
        self.verified: dict[str, Verified] = {}

    def first(
        self, name: str, texts: Sequence[str], above: Collection[str] | None = None
    ) -> str | None:
        """The first text for the gradient `name` that holds, at all sizes if there is one; None if
        there is none. With `above` the texts may read the named steps and these gradients.
        """
        texts = [text for text in dict.fromkeys(texts) if len(text) <= LONGEST]
        found = self._found(name, texts, above, self._points)
        if found is None and self._points.masks:
            found = self._found(name, texts, above, self._masked)
            if found is not None:
                masks = ", ".join(sorted(self._points.masks))
                words = f"the formula for {name} holds for numbers like those given for {masks}"
                self._note("branch", words)
        return found

    def _found(
        self, name: str, texts: Sequence[str], above: Collection[str] | None, points: Points
    ) -> str | None:
        def off(text: str, point: Point) -> float:
            gradients = {each: it for each, it in point.gradients.items() if each in (above or ())}
            return holds(text, name, point, {} if above is None else point.steps | gradients)

        found: list[tuple[str, list[float], list[float]]] = []
        for text in texts:
            tried = [*points.random, *(points.between if _COMPARISON.search(text) else ())]
            errors = [off(text, point) for point in tried]
            if not points.random or _misses(errors):
                continue
            sizes = [*points.resized, *points.beyond.values()]
            found.append((text, errors, [off(text, point) for point in sizes]))
            if not _misses(found[-1][2]):
                break
        if not found:
            return None
        text, errors, other = min(found, key=lambda it: _misses(it[2]))
        other, beyond = other[: len(points.resized)], other[len(points.resized) :]
        longer = zip(points.beyond, beyond, strict=True)
        only = [condition for condition, each in longer if _misses([each])]
        formula, program = f"the formula for {name}", points.run.program
        if _misses(other):
            self._note("these-sizes", f"{formula} holds for the given sizes alone")
            other = []
        elif only:
            self._note("these-sizes", f"{formula} holds where {' and '.join(only)}")
        elif points.free and not points.resized and _sizes(text) - _sizes(program.canonical_text):
            self._note("these-sizes", f"{formula} was not tried at other sizes")
        here = 0.0 if points.given is None else off(text, points.given)
        if points.given and not points.given.finite(name):
            words = f"NaN or inf in the gradient for {name} at the given point"
            self._note("not-a-number", f"{words}: its formula was verified at others")
        elif not here <= _AT_GIVEN:
            code, where = "kink", "where it is 0/0" if math.isnan(here) else "which is at a kink"
            if here == math.inf:
                code, where = "not-a-number", "where it cannot be computed"
            self._note(code, f"{formula} holds near the given point, {where}")
        self.verified[name] = Verified(len(points.random), len(other), max([*errors, *other]))
        return text


def _misses(errors: Sequence[float]) -> int:
    """How many of these errors are too large, as NaN is."""
    return sum(not each <= TOLERANCE for each in errors)


def _sizes(text: str) -> set[str]:
    """The whole numbers of a text that may be sizes: those that are neither exponents nor factors."""
    return set(_SIZE.findall(text)) - {"0", "1"}


def _backward(
    run: Run, upstream: str, chosen: _Chosen
) -> tuple[list[tuple[str, str]], dict[str, str]]:
    """The gradient of every named step from the result back, and those by inputs in terms of these."""
    try:
        attempt = _followed(run, named=True, upstream=upstream)
        found = differentiated(attempt.walk, attempt.inputs, attempt.upstream, apart=True)
    except (NoFormulaError, RecursionError):
        return [], {}
    writer = attempt.writer()
    lines: dict[str, str] = {}
    short: dict[str, str] = {}
    with suppress(NoFormulaError, RecursionError):  # what was written before is shown
        for step, node in found.steps:
            if node.weight > _WRITTEN:
                continue
            text = writer.tensor(node, attempt.walk.steps[step][0].axes, step)
            if chosen.first(f"d{step}", [text], lines) is not None:
                lines[f"d{step}"] = text
        for name, gradient in found.inputs.items():
            if gradient is not None and name in run.by and gradient.weight <= _WRITTEN:
                text = writer.tensor(gradient, attempt.inputs[name].axes, name)
                if chosen.first(name, [text], lines) is not None:
                    short[name] = text
    return list(lines.items()), short
