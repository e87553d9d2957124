"""A formula compared with autograd: at the given point, and at random ones."""

from collections.abc import Callable, Sequence, Set
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
from gradcli.evidence.expect.guesses import FEWEST, Form, fits, known, number, same_number
from gradcli.evidence.expect.misses import Miss, agreements, omitted, ratio
from gradcli.evidence.points import Sampler, kept, round_points
from gradcli.language.expressions.program import Expression
from gradcli.language.source import Span
from gradcli.options.shared import UPSTREAM
from gradcli.results import Counterexample, ExpectedFormula, Origin, Result, Subject

POINTS = 12
"""Random points that must count."""


class Claim(NamedTuple):
    """A formula for the number of an origin, a tensor of any shape; `side` is its value in a run of
    the subject, and raises GradcliError. `computed` is the number in the job's result.
    """

    key: str
    formula: str
    origin: Origin
    computed: Tensor
    side: Callable[[Seen], Tensor]


class Trial(NamedTuple):
    """A point that counts: the formula's value, autograd's, any shapes, and whether they agree."""

    seen: Seen
    expected: Tensor
    computed: Tensor
    agrees: bool


def claimed(
    key: str, program: Expression, text: str, origin: Origin, computed: Tensor, job: Job
) -> Claim:
    """The claim of one formula over the inputs and steps of the origin's subject."""
    assert origin.subject is not None
    check_parameters(program, origin.subject)
    classes = classes_of(origin.subject)

    def side(seen: Seen) -> Tensor:
        with in_float64():
            return evaluate(program, scope(seen, classes), job.before).value.double()

    for code, note in program.notes:
        job.note(code, note)
    return Claim(key, text, origin, computed, side)


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


def sampler_of(claim: Claim, result: Result, job: Job, reads: Set[str]) -> Sampler:
    """The points at which a claim that reads these names is compared: with an upstream gradient of
    their own if it reads that, under a name that is not an input's or a step's.

    An input of zeros and ones keeps them unless the claim is the gradient for it, and a default that
    the user did not give stays unless the claim reads it.
    """
    subject = claim.origin.subject
    assert subject is not None
    by = {claim.origin.name, claim.origin.by} if claim.origin.kind != "value" else set()
    by |= subject.directions.keys()
    keeping = kept(subject.inputs).union(set(result.defaults) - reads) - by
    own = {*subject.inputs, *program_of(subject).assigned}
    return Sampler(subject, job, keeping, upstreams=not (reads - own).isdisjoint(UPSTREAM))


def compare(
    claim: Claim, sampler: Sampler, tolerance: float, advice: str, job: Job
) -> ExpectedFormula:
    """The verdict on a claim; `advice` is that for a miss without a slip.

    Raises what the formula raises at the given point, and MathError if too few points count.
    """
    given = sampler.given()
    expected = fitted(claim.side(given), claim.computed)
    computed = claim.computed.double()
    exact = _number(claim, sampler, given)
    same_shape = expected.shape == computed.shape
    met = agreements(expected, computed, tolerance)
    if exact is not None and not all(met):  # the job's dtype may be too coarse to tell
        met = agreements(expected, exact, tolerance)
    if exact is not None and same_number(exact, claim.computed):
        computed = exact
    here = Trial(given, expected, computed, same_shape and all(met))
    stands = not same_shape or (_stands(here, claim, sampler) and _counts(sampler, given))
    trials = [here] if stands else []
    counted = len(trials)
    for seen in sampler.points():
        if (trial := _trial(claim, sampler, seen, tolerance)) is not None:
            trials.append(trial)
            if len(trials) == POINTS + counted:
                break
    off = [trial for trial in trials if not trial.agrees]
    if len(trials) < FEWEST and not off:
        raise _too_few(claim, len(trials))
    miss = _slip(trials, claim, job) if off else Miss()
    found = _counterexample(claim, sampler, tolerance, off, here) if off else None
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


def _stands(trial: Trial, claim: Claim, sampler: Sampler) -> bool:
    """Whether both sides are finite, and the step that an off line is for is not at a kink."""
    if not bool(trial.expected.isfinite().all() and trial.computed.isfinite().all()):
        return False
    step = claim.origin.name.removesuffix(" ")
    of_step = claim.origin.kind == "gradient" and step != claim.origin.name
    if trial.agrees or not of_step:
        return True
    try:
        return not sampler.bends(trial.seen, step)
    except GradcliError:
        return False


def _counts(sampler: Sampler, seen: Seen) -> bool:
    try:
        return sampler.counts(seen)
    except GradcliError:
        return False


def _number(claim: Claim, sampler: Sampler, seen: Seen) -> Tensor | None:
    try:
        return number(claim.origin, sampler.rerun, seen)
    except GradcliError:
        return None


def _trial(claim: Claim, sampler: Sampler, seen: Seen, tolerance: float) -> Trial | None:
    """Both sides at a point; None if the point does not count."""
    computed = _number(claim, sampler, seen)
    if computed is None:
        return None
    try:
        expected = fitted(claim.side(seen), computed)
    except GradcliError:
        return None
    agrees = expected.shape == computed.shape and all(agreements(expected, computed, tolerance))
    trial = Trial(seen, expected, computed, agrees)
    return trial if _stands(trial, claim, sampler) else None


def _too_few(claim: Claim, count: int) -> MathError:
    points = ("no point", "one point")[count] if count < 2 else f"{count} points"
    message = f"--expect: the formula for {claim.key} and autograd can be compared at {points} only"
    hint = "give a point where the value is finite and has a slope, or expect numbers"
    return MathError(message, hint=hint)


def _shown(trial: Trial, claim: Claim, *, given: bool) -> Counterexample:
    """A trial as a counterexample; the given point in the numbers of the result."""
    if given and claim.origin.subject is not None:
        return Counterexample(claim.origin.subject.inputs, trial.expected, claim.computed)
    return Counterexample(dict(trial.seen.inputs), trial.expected, trial.computed)


def _counterexample(
    claim: Claim, sampler: Sampler, tolerance: float, off: Sequence[Trial], here: Trial
) -> Trial:
    """The given point if it is off, else the roundest one that can be found."""
    if off[0] is here:
        return here
    for point in round_points(sampler.inputs, sampler.keeping):
        if (seen := sampler.at(point)) is not None:
            trial = _trial(claim, sampler, seen, tolerance)
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
    for trial in trials:
        assert origin.subject is not None
        seen = trial.seen
        subject = origin.subject._replace(inputs=dict(seen.inputs), upstream=seen.upstream)
        guess = form(origin._replace(subject=subject), trial.computed)
        if guess is None:
            return False
        fit = fits(trial.expected, guess, torch.zeros_like(guess))
        if fit is False:
            return False
        shown += fit is True
    return shown >= min(FEWEST, len(trials))
