"""What explains numbers or a formula that are off: a known slip, one thing left out, a ratio."""

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

import torch
from torch import Tensor

from gradcli.catalogue.slips import Slip
from gradcli.evaluate.job import Job
from gradcli.evaluate.rerun import widened
from gradcli.evidence.expect.guesses import (
    SLACK,
    ZERO,
    digits,
    fits,
    is_activation,
    known,
    observed,
    same_number,
    subject_of,
)
from gradcli.evidence.expect.omissions import Point, named
from gradcli.results import Origin


class Miss(NamedTuple):
    """The slip that explains a miss, the ledger's row that it is about, and advice."""

    slip: str | None = None
    row: str | None = None
    advice: str = ""


def agreements(expected: Tensor, computed: Tensor, tolerance: float) -> list[bool]:
    """Whether each element is as expected; empty for another shape."""
    if expected.shape != computed.shape:
        return []
    return close(expected, computed.double(), tolerance).reshape(-1).tolist()


def close(expected: Tensor, computed: Tensor, tolerance: float) -> Tensor:
    """Whether each element is as expected within the tolerance, for tensors of one shape; NaN equals
    NaN, inf equals inf.
    """
    same = (expected == computed) | (expected.isnan() & computed.isnan())
    near = (computed - expected).abs() <= tolerance * expected.abs() + ZERO
    return same | (expected.isfinite() & near)


def of_numbers(
    expected: Tensor, computed: Tensor, half: Tensor, origin: Origin | None, job: Job
) -> Miss:
    """What explains expected numbers, of any shape; `half` is half a unit of the last digit of each.

    No slip for numbers right to the digits given.
    """
    if origin is None:
        return _right_to_the_digits(expected, computed.double(), half) or Miss()
    again, right = observed(origin, job), computed.double()
    source: Origin | None = None  # unless the number is the same when it is computed again
    if again is not None and same_number(again, computed):
        right, source = again, origin  # the same number with more digits
    tried = ((slip, reason, form(source, right)) for slip, reason, form in known(source, job))
    guesses = [(slip, reason, guess) for slip, reason, guess in tried if guess is not None]
    exact = torch.zeros_like(half)
    points: Sequence[Point] = ()
    if source is not None:
        given = subject_of(source).inputs.items()
        points = [({name: widened(tensor) for name, tensor in given}, expected, None)]
    return (
        _known(expected, exact, guesses)
        or omitted(source, points, job, exact)
        or _right_to_the_digits(expected, computed.double(), half)
        or _known(expected, half, guesses)
        or (bool(half.any()) and omitted(source, points, job, half))
        or ratio([(expected, right)], half)
        or Miss()
    )


def _known(
    expected: Tensor, half: Tensor, guesses: Sequence[tuple[Slip, str, Tensor]]
) -> Miss | None:
    """The first slip of the table that fits."""
    for slip, reason, guess in guesses:
        if fits(expected, guess, half):
            return Miss(slip.name, advice=f"{slip.words}{reason}{_roughly(half)}")
    return None


def omitted(
    origin: Origin | None, points: Sequence[Point], job: Job, half: Tensor | None = None
) -> Miss | None:
    """The one slip in the ledger that gives the user's gradient, of any shape, at all points."""
    if origin is None or origin.kind != "gradient" or is_activation(subject_of(origin)):
        return None
    places = origin.places

    def fit(value: Tensor, gradient: Tensor) -> bool | None:
        within = len(places) <= gradient.ndim
        return within and _fits_well(value, gradient[places], half)

    found = named(subject_of(origin), origin.name.strip(), points, job, fit)
    return Miss(found.slip, found.row, f"{found.words}{_roughly(half)}") if found else None


def ratio(pairs: Sequence[tuple[Tensor, Tensor]], half: Tensor | None = None) -> Miss | None:
    """Two or more elements that are not 0, all off by one constant, a fraction if it can be one.

    `pairs` are what the user has and the right number at each point, of any shapes.
    """
    if any(expected.shape != right.shape for expected, right in pairs):
        return None
    if sum(int((right != 0).sum()) for _, right in pairs) < 2:
        return None
    expected, right = max(pairs, key=lambda pair: float(pair[1].abs().max()))
    place = right.abs().argmax()
    factor = float(expected.reshape(-1)[place] / right.reshape(-1)[place])
    if not factor or not math.isfinite(factor):
        return None
    written = half is not None and bool(half.any())
    fraction = Fraction(factor).limit_denominator(12 if written else 64)
    for number, text in ((float(fraction), str(fraction)), (factor, f"{factor:.4g}")):
        fitting = {_fits_well(left, number * right, half) for left, right in pairs}
        if True in fitting and False not in fitting:
            return Miss("ratio", advice=f"every element of yours is {text} times the computed one")
    return None


def _right_to_the_digits(expected: Tensor, computed: Tensor, half: Tensor) -> Miss | None:
    """The round tolerance that accepts a value right to the digits given."""
    if expected.shape != computed.shape:
        return None
    off = (computed - expected).abs()
    if not bool((close(expected, computed, 0.0) | (off <= half * SLACK)).all()):
        return None
    needed = float(((off - ZERO) / expected.abs()).nan_to_num(0.0).max())
    unit = 10.0 ** math.floor(math.log10(needed))
    tolerance = f"{math.ceil(needed / unit * SLACK) * unit:.2g}"
    return Miss(advice=f"yours is right to the digits given; --tol {tolerance} accepts it")


def _roughly(half: Tensor | None) -> str:
    return " (to the digits given)" if half is not None and bool(half.any()) else ""


_DIGITS = 5e-3
"""Half a unit of the last digit counts up to this part of the largest element: three digits. With
fewer, one of many slips may fit by accident."""


def _fits_well(expected: Tensor, guess: Tensor, half: Tensor | None) -> bool | None:
    """What `fits` says, with the digits written if these are three or more."""
    half = torch.zeros_like(expected) if half is None else half
    if expected.shape != guess.shape or not guess.numel():
        return False
    size = float(guess.abs().max())
    return fits(expected, guess, digits(half, _DIGITS * size).clamp(min=ZERO * size))
