"""A formula compared with autograd: at the given point, and at random ones."""

from collections.abc import Callable, Sequence, Set
from contextlib import suppress
from itertools import islice
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gradcli.errors import GradcliError, MathError, UsageError
from gradcli.evaluate.job import Job, in_float64
from gradcli.evaluate.machine import evaluate
from gradcli.evaluate.networks import no_parameter
from gradcli.evaluate.rerun import Seen, widened
from gradcli.evaluate.run import class_indices
from gradcli.evaluate.trace import program_of
from gradcli.evidence.expect.guesses import (
    FEWEST,
    Form,
    fits,
    known,
    number,
    same_number,
    subject_of,
)
from gradcli.evidence.expect.misses import Miss, agreements, omitted, ratio
from gradcli.evidence.points import Sampler, kept, round_points
from gradcli.language.expressions.program import Expression
from gradcli.language.source import Span
from gradcli.options.expectation import Formula
from gradcli.options.shared import UPSTREAM
from gradcli.results import Counterexample, ExpectedFormula, Origin, Result, Subject

POINTS = 12
"""Random points that must count."""


class Claim(NamedTuple):
    """A formula for the number of an origin, a tensor of any shape, and where it is compared; `side`
    is its value in a run of the subject, and raises GradcliError. `computed` is the number in the
    job's result.
    """

    key: str
    formula: str
    origin: Origin
    computed: Tensor
    side: Callable[[Seen], Tensor]
    sampler: Sampler
    tolerance: float


class Trial(NamedTuple):
    """A point that counts: the formula's value, autograd's, any shapes, and whether they agree."""

    seen: Seen
    expected: Tensor
    computed: Tensor
    agrees: bool


def claimed(
    key: str, formula: Formula, origin: Origin | None, computed: Tensor, tolerance: float,
    result: Result, job: Job,
) -> Claim:  # fmt: skip
    """The claim of a formula over the inputs and steps of the origin's subject.

    Raises UsageError if the number cannot be computed elsewhere.
    """
    program, subject = formula.program, origin.subject if origin else None
    assert program is not None
    if origin is None or subject is None:
        hint = "expect numbers, or a formula for a value or a gradient"
        message = f"--expect: {key} is computed at this point only, so a formula cannot be checked"
        raise UsageError(message, hint=hint)
    check_parameters(program, subject)
    classes = classes_of(subject)

    def side(seen: Seen) -> Tensor:
        with in_float64():
            return evaluate(program, scope(seen, classes), job.before).value.double()

    for code, note in program.notes:
        job.note(code, note)
    sampler = sampler_of(origin, result, job, set(program.names))
    return Claim(key, formula.text, origin, computed, side, sampler, tolerance)


def check_parameters(program: Expression, subject: Subject) -> None:
    """Raise UsageError where a formula reads a parameter that no module of the subject has."""
    for step in program.steps:
        if step.kind == "load" and "." in step.name and step.name not in subject.inputs:
            raise no_such(step.name, subject, step.span)


def no_such(name: str, subject: Subject, place: Span) -> UsageError:
    """The error of a parameter that no module of the subject has."""
    error = no_parameter(name, [each for each in subject.inputs if "." in each])
    error.span = place
    return error


def classes_of(subject: Subject) -> frozenset[str]:
    """The inputs of a subject that it takes as class indices."""
    with in_float64():
        inputs = {name: widened(tensor) for name, tensor in subject.inputs.items()}
        return class_indices(program_of(subject), inputs)


def scope(seen: Seen, classes: Set[str]) -> dict[str, Any]:
    """What the names of a formula mean in a run: inputs, steps, and the upstream gradient. Class
    indices are whole numbers, so that one_hot takes them.
    """
    upstream = dict.fromkeys(UPSTREAM, seen.upstream) if seen.upstream is not None else {}
    whole = {name: seen.inputs[name].long() for name in classes}
    return {**upstream, **seen.steps, **seen.inputs, **whole}


def sampler_of(origin: Origin, result: Result, job: Job, reads: Set[str]) -> Sampler:
    """The points at which a claim that reads these names is compared: with an upstream gradient of
    their own if it reads that, under a name that is not an input's or a step's.

    An input of zeros and ones keeps them unless the claim is the gradient for it, and a default that
    the user did not give stays unless the claim reads it.
    """
    subject = subject_of(origin)
    by = {origin.name, origin.by} if origin.kind != "value" else set()
    by |= subject.directions.keys()
    keeping = kept(subject.inputs).union(set(result.defaults) - reads) - by
    own = {*subject.inputs, *program_of(subject).assigned}
    return Sampler(subject, job, keeping, upstreams=not (reads - own).isdisjoint(UPSTREAM))


def compare(claim: Claim, advice: str, job: Job) -> ExpectedFormula:
    """The verdict on a claim; `advice` is that for a miss without a slip.

    Raises what the formula raises at the given point, and MathError if too few points count.
    """
    sampler, tolerance = claim.sampler, claim.tolerance
    given = sampler.given()
    expected = fitted(claim.side(given), claim.computed)
    computed = claim.computed.double()
    exact = _number(claim, given)
    same_shape = expected.shape == computed.shape
    met = agreements(expected, computed, tolerance)
    if exact is not None and not all(met):  # the job's dtype may be too coarse to tell
        met = agreements(expected, exact, tolerance)
    if exact is not None and same_number(exact, claim.computed):
        computed = exact
    here = Trial(given, expected, computed, same_shape and all(met))
    stands = not same_shape or (_stands(here, claim) and _counts(sampler, given))
    trials = [here] if stands else []
    random = filter(None, (_trial(claim, seen) for seen in sampler.points()))
    trials += islice(random, POINTS)
    off = [trial for trial in trials if not trial.agrees]
    if len(trials) < FEWEST and not off:
        raise _too_few(claim, len(trials))
    miss = _slip(trials, claim, job) if off else Miss()
    found = _counterexample(claim, off, here) if off else None
    return ExpectedFormula(
        expected, claim.computed, not off, miss.slip, miss.row,
        met=met, advice=(miss.advice or advice) if off else "", formula=claim.formula,
        points=len(trials), agreed=len(trials) - len(off),
        counterexample=found and _shown(found, claim, given=found is here), given=found is here,
        source="PyTorch" if claim.origin.kind == "value" else "autograd",
    )  # fmt: skip


def fitted(expected: Tensor, computed: Tensor) -> Tensor:
    """What the user has, in the computed shape if both are one number."""
    one = expected.numel() == computed.numel() == 1
    return expected.reshape(computed.shape) if one else expected


def _stands(trial: Trial, claim: Claim) -> bool:
    """Whether both sides are finite, and the step that an off line is for is not at a kink."""
    if not bool(trial.expected.isfinite().all() and trial.computed.isfinite().all()):
        return False
    step = claim.origin.name.removesuffix(" ")
    of_step = claim.origin.kind == "gradient" and step != claim.origin.name
    if trial.agrees or not of_step:
        return True
    with suppress(GradcliError):
        return not claim.sampler.bends(trial.seen, step)
    return False


def _counts(sampler: Sampler, seen: Seen) -> bool:
    with suppress(GradcliError):
        return sampler.counts(seen)
    return False


def _number(claim: Claim, seen: Seen) -> Tensor | None:
    with suppress(GradcliError):
        return number(claim.origin, claim.sampler.rerun, seen)
    return None


def _trial(claim: Claim, seen: Seen) -> Trial | None:
    """Both sides at a point; None if the point does not count."""
    computed = _number(claim, seen)
    if computed is None:
        return None
    try:
        expected = fitted(claim.side(seen), computed)
    except GradcliError:
        return None
    met = agreements(expected, computed, claim.tolerance)
    trial = Trial(seen, expected, computed, expected.shape == computed.shape and all(met))
    return trial if _stands(trial, claim) else None


def _too_few(claim: Claim, count: int) -> MathError:
    points = ("no point", "one point")[count] if count < 2 else f"{count} points"
    message = f"--expect: the formula for {claim.key} and autograd can be compared at {points} only"
    hint = "give a point where the value is finite and has a slope, or expect numbers"
    return MathError(message, hint=hint)


def _shown(trial: Trial, claim: Claim, *, given: bool) -> Counterexample:
    """A trial as a counterexample; the given point in the numbers of the result."""
    if given:
        inputs = subject_of(claim.origin).inputs
        return Counterexample(inputs, trial.expected, claim.computed)
    return Counterexample(dict(trial.seen.inputs), trial.expected, trial.computed)


def _counterexample(claim: Claim, off: Sequence[Trial], here: Trial) -> Trial:
    """The given point if it is off, else the roundest one that can be found."""
    if off[0] is here:
        return here
    sampler = claim.sampler
    for point in round_points(sampler.inputs, sampler.keeping):
        if (seen := sampler.at(point)) is not None:
            trial = _trial(claim, seen)
            if trial is not None and not trial.agrees:
                return trial
    return off[0]


def _slip(trials: Sequence[Trial], claim: Claim, job: Job) -> Miss:
    """The slip that gives the formula's value at all points, and what it means."""
    for slip, reason, form in known(claim.origin, job):
        if _explains(form, trials, claim.origin):
            return Miss(slip.name, advice=f"{slip.words}{reason}")
    points = [(it.seen.inputs, it.expected, it.seen.upstream) for it in trials]
    return (
        omitted(claim.origin, points, job)
        or ratio([(it.expected, it.computed) for it in trials])
        or Miss()
    )


def _explains(form: Form, trials: Sequence[Trial], origin: Origin) -> bool:
    """Whether a slip gives the expected value at every point, and at enough of them one that is not 0."""
    shown = 0
    subject = subject_of(origin)
    for trial in trials:
        inputs, upstream = dict(trial.seen.inputs), trial.seen.upstream
        subject = subject._replace(inputs=inputs, upstream=upstream)
        guess = form(origin._replace(subject=subject), trial.computed)
        if guess is None:
            return False
        fit = fits(trial.expected, guess, torch.zeros_like(guess))
        if fit is False:
            return False
        shown += fit is True
    return shown >= min(FEWEST, len(trials))
