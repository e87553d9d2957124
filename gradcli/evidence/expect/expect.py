"""`--expect`: expected and computed values, and for a miss the slip that explains it or advice."""

import math
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

import torch
from torch import Tensor

from gradcli import result_paths
from gradcli.catalogue.slips import SLIPS, Feature, Slip
from gradcli.errors import GradcliError, ShapeError, UsageError
from gradcli.evaluate import files
from gradcli.evaluate.job import Job, once_more
from gradcli.evaluate.rerun import Rerun, widened
from gradcli.evaluate.tensors import TensorMaker
from gradcli.evidence.expect.omissions import named
from gradcli.evidence.expect.variants import features, variants
from gradcli.language.file_names import FromFile
from gradcli.language.literals.literal import Literal, Numbers, half_units
from gradcli.language.suggest import did_you_mean
from gradcli.options.expectation import Expectation
from gradcli.results import Expected, Origin, Result, Subject

ZERO = 1e-6
"""Added to the tolerance of every element, so that zero can be expected."""
EXACT = 1e-4
"""The relative tolerance to which a slip must fit, unless fewer digits were given."""
ROWS = 1000
"""Rows of a Jacobian that are recomputed for a slip, at most."""


def expect(
    expectations: Sequence[Expectation], tolerance: float, result: Result, job: Job, next_step: str
) -> dict[str, Expected]:
    """Every expectation compared with the computed value, by the name that the user gave it.

    `next_step` is the advice for a miss without a slip. Raises UsageError for a name that is not in
    the result, LiteralError for a value that cannot be read, and ShapeError for one in another
    shape than the result's.
    """
    names = result.gradient_paths()
    make = TensorMaker(torch.float64, "cpu", job.read_stdin)
    compared: dict[str, Expected] = {}
    for expectation in expectations:
        gradients = (n for n, path in names.items() if result_paths.find(result, path) is not None)
        key = expectation.key or _only(list(gradients))
        if key in compared:
            raise UsageError(f"--expect: {key} is given twice", hint="give each value once")
        path = _path(key, names, result)
        computed = _number(result, key, path)
        value = widened(make(expectation.value)).double()
        expected = (
            value.reshape(computed.shape) if value.numel() == computed.numel() == 1 else value
        )
        met: list[bool] = []
        same_shape = expected.shape == computed.shape
        if same_shape:
            met = close(expected, computed.double(), tolerance).reshape(-1).tolist()
        slip, row, advice = None, None, ""
        if not (ok := same_shape and all(met)):
            half = _half_units(expectation.value, value).reshape(expected.shape)
            slip, row, advice = _missed(expected, computed, half, path, result, job)
            if slip is None:
                _check_shape(expected, computed, key)
            advice = advice or next_step
        compared[key] = Expected(expected, computed, ok, slip, row, met=met, advice=advice)
    return compared


def _half_units(literal: Literal, value: Tensor) -> Tensor:
    """Half a unit of the last digit of each expected number, in their shape; 0 without text."""
    lines = isinstance(literal, FromFile)
    written = files.read(literal) if isinstance(literal, FromFile) else literal
    if not isinstance(written, Numbers):
        return torch.zeros_like(value)
    return torch.tensor(half_units(written, lines=lines), dtype=torch.float64).reshape(value.shape)


class _Miss(NamedTuple):
    """The slip that explains a miss, the ledger's row that it is about, and advice."""

    slip: str | None = None
    row: str | None = None
    advice: str = ""


def _missed(
    expected: Tensor, computed: Tensor, half: Tensor, path: str, result: Result, job: Job
) -> _Miss:
    """What explains a miss; no slip for a value right to the digits given."""
    if not result.of_one_gradient:
        return _right_to_the_digits(expected, computed.double(), half) or _Miss()
    right, origin = _recomputed(computed, path, result, job)
    guesses = list(_slips(right, origin, job))
    exact = torch.zeros_like(half)
    return (
        _known(expected, exact, guesses)
        or _omitted(expected, exact, origin, job)
        or _right_to_the_digits(expected, computed.double(), half)
        or _known(expected, half, guesses)
        or (bool(half.any()) and _omitted(expected, half, origin, job))
        or _ratio(expected, right, half)
        or _Miss()
    )


def _right_to_the_digits(expected: Tensor, computed: Tensor, half: Tensor) -> _Miss | None:
    """The round tolerance that accepts a value right to the digits given."""
    if expected.shape != computed.shape:
        return None
    off = (computed - expected).abs()
    if not bool((close(expected, computed, 0.0) | (off <= half * _SLACK)).all()):
        return None
    needed = float(((off - ZERO) / expected.abs()).nan_to_num(0.0).max())
    unit = 10.0 ** math.floor(math.log10(needed))
    tolerance = f"{math.ceil(needed / unit * _SLACK) * unit:.2g}"
    return _Miss(advice=f"yours is right to the digits given; --tol {tolerance} accepts it")


_SLACK = 1 + 1e-9
"""Keeps the end of a range inside it."""


def close(expected: Tensor, computed: Tensor, tolerance: float) -> Tensor:
    """Whether each element is as expected within the tolerance, for tensors of one shape; NaN equals
    NaN, inf equals inf.
    """
    same = (expected == computed) | (expected.isnan() & computed.isnan())
    near = (computed - expected).abs() <= tolerance * expected.abs() + ZERO
    return same | (expected.isfinite() & near)


# --- names --------------------------------------------------------------------------------------


def _only(names: Sequence[str]) -> str:
    """The one gradient that a bare number can mean."""
    if len(names) == 1:
        return names[0]
    if not names:
        hint = "name a value, such as --expect value=1"
        raise UsageError("--expect: this result has no single gradient", hint=hint)
    message = f"--expect: the result has several gradients: {', '.join(names)}"
    raise UsageError(message, hint=f"name one: --expect {names[0]}=T")


def _path(key: str, names: Mapping[str, str], result: Result) -> str:
    """The path of a key: a gradient, a field of a single function, or a `--get` path.

    Raises UsageError with the nearest paths if the key is none of these.
    """
    first, dot, rest = key.partition(".")
    if first in names:
        return names[first] + dot + rest
    tree = result_paths.tree(result)
    path = result_paths.whole(tree, key)
    if path.partition(".")[0] in tree:
        return path
    leaves = dict(result_paths.leaves(tree))
    tensors = (path for path, leaf in leaves.items() if isinstance(leaf, Tensor))
    numbers = [*names, *(path for path in tensors if not path.startswith("inputs."))]
    near = did_you_mean(key, [*names, *result_paths.short(tree), *leaves])
    hint = near or f"the result has {', '.join(numbers[:12])}"
    raise UsageError(f"--expect: there is no {key!r} in the result", hint=hint)


def _number(result: Result, key: str, path: str) -> Tensor:
    """The tensor at a path. Raises UsageError for anything else."""
    value = result_paths.find(result, path, "--expect")
    if isinstance(value, Tensor) and not value.is_complex():
        return value.detach().cpu()
    if isinstance(value, bool | int | float):
        return torch.tensor(value)
    if value is None:
        hint = "autograd returned no gradient there, so there is nothing to compare"
        raise UsageError(f"--expect: {key} is null", hint=hint)
    kind, hint = "not a number", "--get shows it"
    if isinstance(value, dict | list):
        inside = ", ".join(leaf for leaf, _ in result_paths.leaves(value, path))
        kind = "more than one value" if inside else "empty"
        hint = f"choose one of {inside[:300]}" if inside else hint
    raise UsageError(f"--expect: {key} is {kind}", hint=hint)


def _check_shape(expected: Tensor, computed: Tensor, key: str) -> None:
    """Raise ShapeError for an expected value in another shape than the computed or transposed one."""
    transposed = computed.ndim == 2 and expected.shape == computed.T.shape
    if expected.shape == computed.shape or transposed:
        return
    message = f"--expect: {key} has shape {list(computed.shape)}, but the expected value has {list(expected.shape)}"
    raise ShapeError(message, hint="give one number for each element, rows separated by ;")


# --- slips --------------------------------------------------------------------------------------


def _recomputed(
    computed: Tensor, path: str, result: Result, job: Job
) -> tuple[Tensor, Origin | None]:
    """The computed value with more digits, and its origin, or None if it cannot be recomputed: if it
    drew other random numbers, so would its variants.
    """
    origin = result.origin(path.split("."))
    again = None if origin is None else _observed(origin, job)
    right = computed.double()
    if again is not None and again.shape == right.shape and _same(again, computed):
        return again, origin
    return right, None


def _slips(right: Tensor, origin: Origin | None, job: Job) -> Iterator[tuple[Slip, str, Tensor]]:
    """Each form of each slip: its reason if the expression has one, and the value it would give."""
    present: frozenset[Feature] = frozenset()
    if origin is not None and origin.subject is not None and origin.kind != "value":
        present = features(origin.subject, origin.name) | {origin.kind}
    for slip in SLIPS:
        reason = next((words for feature, words in slip.reasons if feature in present), "")
        for guess in _guesses(slip, right, origin, job):
            yield slip, reason, guess


def _known(
    expected: Tensor, half: Tensor, guesses: Sequence[tuple[Slip, str, Tensor]]
) -> _Miss | None:
    """The first slip of the table that fits."""
    for slip, reason, guess in guesses:
        if _fits(expected, guess, half):
            return _Miss(slip.name, advice=f"{slip.words}{reason}{_roughly(half)}")
    return None


def _omitted(expected: Tensor, half: Tensor, origin: Origin | None, job: Job) -> _Miss | None:
    """The one thing that the ledger has and the user's gradient has not."""
    subject = None if origin is None else origin.subject
    if origin is None or subject is None or origin.kind != "gradient" or _is_activation(subject):
        return None

    def fits(value: Tensor, gradient: Tensor) -> bool:
        places = origin.places
        return len(places) <= gradient.ndim and _fits_well(value, gradient[places], half)

    inputs = {name: widened(tensor) for name, tensor in subject.inputs.items()}
    if found := named(subject, origin.name, [(inputs, expected)], job, fits):
        return _Miss(found.slip, found.row, f"{found.words}{_roughly(half)}")
    return None


def _ratio(expected: Tensor, right: Tensor, half: Tensor) -> _Miss | None:
    """Two or more elements that are not 0, all off by one constant, a fraction if it can be one."""
    if expected.shape != right.shape or int((right != 0).sum()) < 2:
        return None
    place = right.abs().argmax()
    factor = float(expected.reshape(-1)[place] / right.reshape(-1)[place])
    if not math.isfinite(factor):
        return None
    fraction = Fraction(factor).limit_denominator(12 if bool(half.any()) else 64)
    for number, text in ((float(fraction), str(fraction)), (factor, f"{factor:.4g}")):
        if _fits_well(expected, number * right, half):
            advice = f"every element of yours is {text} times the computed one"
            return _Miss("ratio", advice=advice)
    return None


def _roughly(half: Tensor) -> str:
    return " (to the digits given)" if bool(half.any()) else ""


_DIGITS = 5e-3
"""Half a unit of the last digit counts up to this part of the largest element: three digits. With
fewer, one of many slips may fit by accident."""


def _fits_well(expected: Tensor, guess: Tensor, half: Tensor) -> bool:
    """Whether every element is the guess's, to the digits written if these are three or more."""
    if expected.shape != guess.shape or not guess.numel():
        return False
    size = float(guess.abs().max())
    return _fits(expected, guess, half.where(half <= _DIGITS * size, 0.0).clamp(min=ZERO * size))


def _same(again: Tensor, computed: Tensor) -> bool:
    """Whether numbers recomputed in float64 are those of the result, but for rounding."""
    rtol = torch.finfo(computed.dtype).eps ** 0.5 if computed.is_floating_point() else 0.0
    again, computed = again.double(), computed.double()
    return torch.allclose(again, computed, rtol=rtol, atol=rtol * ZERO, equal_nan=True)


def _fits(expected: Tensor, guess: Tensor, half: Tensor) -> bool:
    """Whether every element is the guess's, to the digits written; zeros alone fit nothing."""
    if expected.shape != guess.shape or not bool(guess.isfinite().all()) or not expected.numel():
        return False
    size = float(guess.abs().max())
    if size <= ZERO:
        return False
    limit = torch.maximum(EXACT * guess.abs() + EXACT * ZERO * size, half * _SLACK)
    return bool(((expected - guess).abs() <= limit).all())


def _guesses(slip: Slip, right: Tensor, origin: Origin | None, job: Job) -> Iterator[Tensor]:
    """The values that the user would have found after this slip."""
    for factor in slip.factors:
        yield factor * right
    if slip.variant == "transposed" and right.ndim == 2:
        yield right.T
    if origin is None or origin.subject is None:
        return
    if slip.variant == "straight-through" and _is_activation(origin.subject):
        return
    for variant in variants(origin.subject, slip.variant):
        value = _observed(origin._replace(subject=variant), job)
        if value is not None:
            yield value


def _is_activation(subject: Subject) -> bool:
    """Whether the subject is an activation alone, whose derivative is all there is to find."""
    return subject.call is not None and tuple(subject.inputs) == ("x",)


def _observed(origin: Origin, job: Job) -> Tensor | None:
    """The value, gradient or Jacobian of a subject in float64; None if PyTorch has none."""
    if origin.subject is None:
        return None
    try:
        with once_more(torch.float64):
            value = _computed(Rerun(origin.subject, job), origin.kind, origin.name)
            return None if value is None else value[origin.places]
    except (GradcliError, IndexError):
        return None


def _computed(rerun: Rerun, kind: str, name: str) -> Tensor | None:
    value = rerun.value(rerun.inputs).detach()
    if kind == "value":
        return value.double()
    if name not in rerun.by:
        return None
    if kind == "gradient":
        upstream = rerun.upstream
        if upstream is not None and upstream.shape != value.shape:
            return None
        return rerun.gradients(rerun.inputs, upstream)[name]
    if value.numel() > ROWS or not value.numel():
        return None
    ones = torch.eye(value.numel(), dtype=value.dtype).reshape(-1, *value.shape)
    rows = [row[name] for row in rerun.rows(rerun.inputs, list(ones))]
    blocks = [torch.zeros_like(rerun.inputs[name]) if row is None else row for row in rows]
    return torch.stack(blocks).reshape(value.shape + rerun.inputs[name].shape)
