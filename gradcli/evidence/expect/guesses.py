"""The numbers that the slips of hand derivations would give, at any point."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TypeAlias

import torch
from torch import Tensor

from gradcli.catalogue.slips import SLIPS, Feature, Slip
from gradcli.errors import GradcliError
from gradcli.evaluate.job import Job, in_float64
from gradcli.evaluate.rerun import Rerun, Seen, widened
from gradcli.evidence.expect.variants import features, variants
from gradcli.results import Inputs, Origin, Subject

ZERO = 1e-6
"""Added to the tolerance of every element, so that zero can be expected."""
EXACT = 1e-4
"""The relative tolerance to which a slip must fit, unless fewer digits were given."""
COARSE = 0.1
"""Half a unit of the last digit counts up to this part of the largest element: 1 is what 0.6 and 1.4
round to, so one of many slips would fit by accident."""
FEWEST = 3
"""Points that make a verdict, or show a slip, at least."""
ROWS = 1000
"""Rows of a Jacobian that are recomputed, at most."""
SLACK = 1 + 1e-9
"""Keeps the end of a range inside it."""

Form: TypeAlias = Callable[[Origin | None, Tensor], Tensor | None]
"""What a slip gives for the number of an origin, at its inputs, instead of the right one."""


def known(origin: Origin | None, job: Job) -> Iterator[tuple[Slip, str, Form]]:
    """Each form of each slip, and its reason if the expression has one.

    Without an origin, which must have a subject, only those that need no expression.
    """
    present: frozenset[Feature] = frozenset()
    if origin and origin.kind in ("gradient", "jacobian"):
        present = features(subject_of(origin), origin.name.strip()) | {origin.kind}
    for slip in SLIPS:
        reason = next((words for feature, words in slip.reasons if feature in present), "")
        for form in _forms(slip, origin, job):
            yield slip, reason, form


def _forms(slip: Slip, origin: Origin | None, job: Job) -> Iterator[Form]:
    for factor in slip.factors:
        yield lambda _, right, factor=factor: factor * right  # type: ignore[misc]
    if slip.variant == "transposed":
        yield lambda _, right: right.T if right.ndim == 2 else None
    if origin is None:
        return
    subject = subject_of(origin)
    if slip.variant == "straight-through" and is_activation(subject):
        return
    for variant in variants(subject, slip.variant):
        yield lambda at, _, variant=variant: _of_variant(at, variant, job)  # type: ignore[misc]


def _of_variant(at: Origin, variant: Subject, job: Job) -> Tensor | None:
    """The number of the variant at the point of an origin."""
    point = subject_of(at)
    there = variant._replace(inputs=point.inputs, upstream=point.upstream)
    return observed(at._replace(subject=there), job)


def subject_of(origin: Origin) -> Subject:
    """The subject of an origin that has one."""
    assert origin.subject is not None
    return origin.subject


def is_activation(subject: Subject) -> bool:
    """Whether the subject is an activation alone, whose derivative is all there is to find."""
    return subject.call is not None and tuple(subject.inputs) == ("x",)


def fits(expected: Tensor, guess: Tensor, half: Tensor) -> bool | None:
    """Whether every element is the guess's, all of one shape, to the digits written: `half` is half
    a unit of the last digit of each. None if all are 0 on both sides, which shows nothing.
    """
    if expected.shape != guess.shape or not bool(guess.isfinite().all()) or not expected.numel():
        return False
    size = float(guess.abs().max())
    if size <= ZERO:
        return None if float(expected.abs().max()) <= ZERO * SLACK else False
    slack = digits(half, COARSE * size) * SLACK
    limit = torch.maximum(EXACT * guess.abs() + EXACT * ZERO * size, slack)
    return bool(((expected - guess).abs() <= limit).all())


def digits(half: Tensor, largest: float) -> Tensor:
    """`half` up to `largest`, and the least of it elsewhere: the last zero of 0.10 may be left out."""
    counting = half[(half > 0) & (half <= largest)]
    return half.where(half <= largest, counting.min() if counting.numel() else 0.0)


def same_number(again: Tensor, computed: Tensor) -> bool:
    """Whether a tensor recomputed in float64 is the result's, in its shape, but for rounding."""
    if again.shape != computed.shape:
        return False
    rtol = torch.finfo(computed.dtype).eps ** 0.5 if computed.is_floating_point() else 0.0
    again, computed = again.double(), computed.double()
    return torch.allclose(again, computed, rtol=rtol, atol=rtol * ZERO, equal_nan=True)


def observed(origin: Origin, job: Job) -> Tensor | None:
    """What `number` returns at the origin's own inputs; None as well if PyTorch refuses them."""
    if origin.subject is not None:
        with suppress(GradcliError):
            rerun = Rerun(origin.subject, job)
            return number(origin, rerun, rerun.observe(rerun.inputs, rerun.upstream))
    return None


def number(origin: Origin, rerun: Rerun, seen: Seen) -> Tensor | None:
    """The number or the tensor of an origin in a run of its subject, float64; None if it has none.

    Raises GradcliError for what PyTorch refuses.
    """
    with in_float64():
        whole = _whole(origin, rerun, seen)
    try:
        return None if whole is None else whole[origin.places].double()
    except IndexError:
        return None


def _whole(origin: Origin, rerun: Rerun, seen: Seen) -> Tensor | None:
    name, value = origin.name, seen.value
    if origin.kind == "value":
        step = seen.steps.get(name[:-1]) if name.endswith(" ") else value
        return step if isinstance(step, Tensor) else None
    if origin.kind == "gradient":
        found = seen.gradients.get(name)
        off_path = found is None and name in seen.gradients and name in seen.inputs
        return torch.zeros_like(seen.inputs[name]) if off_path else found
    if origin.kind == "jvp":
        return rerun.jvp(seen.inputs, _along(origin))
    if name not in rerun.by:
        return None
    if origin.kind == "hvp":
        return rerun.hvp(seen.inputs, _along(origin))[name]
    if origin.kind == "hessian":
        return rerun.hessian(seen.inputs)[1][name].get(origin.by)
    if value.numel() > ROWS or not value.numel():
        return None
    ones = torch.eye(value.numel(), dtype=value.dtype).reshape(-1, *value.shape)
    rows = [row[name] for row in rerun.rows(seen.inputs, list(ones))]
    blocks = [torch.zeros_like(seen.inputs[name]) if row is None else row for row in rows]
    return torch.stack(blocks).reshape(value.shape + seen.inputs[name].shape)


def _along(origin: Origin) -> Inputs:
    """The directions of an origin's subject in float64."""
    return {name: widened(tensor) for name, tensor in subject_of(origin).directions.items()}
