"""`--expect`: expected and computed values, and for a miss the slip that explains it or advice."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from gradcli import result_paths
from gradcli.errors import ShapeError, UsageError
from gradcli.evaluate import files
from gradcli.evaluate.job import Job
from gradcli.evaluate.rerun import widened
from gradcli.evaluate.tensors import TensorMaker
from gradcli.evidence.expect import claims, line_by_line, misses
from gradcli.evidence.expect.misses import agreements
from gradcli.language.file_names import FromFile
from gradcli.language.literals.literal import Literal, Numbers, half_units
from gradcli.language.suggest import did_you_mean
from gradcli.options.backward_pass import BackwardPass
from gradcli.options.expectation import Expectation, Formula
from gradcli.results import Expected, Origin, Result


def expect(
    expectations: Sequence[Expectation], tolerance: float, result: Result, job: Job, next_step: str
) -> tuple[dict[str, Expected], str | None]:
    """Every expectation compared with the computed value, by the name that the user gave it; and
    the first gradient of a backward pass that is off: empty without such a pass, None if all are
    right.

    `next_step` is the advice for a miss without a slip. Raises UsageError for a name that is not in
    the result, LiteralError for a value that cannot be read, ShapeError for one in another shape
    than the result's, and what a formula raises.
    """
    compared: dict[str, Expected] = {}
    first_wrong: str | None = ""
    for expectation in expectations:
        found: Mapping[str, Expected]
        if isinstance(expectation.value, BackwardPass):
            found = line_by_line.judged(expectation.value, tolerance, result, job, next_step)
            wrong = next((name for name, item in found.items() if not item.ok), None)
            first_wrong = first_wrong or wrong
        else:
            key = expectation.key or _only(result)
            path = _path(key, result)
            computed, origin = _number(result, key, path), _origin(path, result)
            if isinstance(expectation.value, Formula):
                formula = expectation.value
                claim = claims.claimed(key, formula, origin, computed, tolerance, result, job)
                advice = f"no known slip gives your formula: {next_step}"
                found = {key: claims.compare(claim, advice, job)}
            else:
                advice = f"no known slip gives your value: {next_step}"
                literal = expectation.value
                item = _of_literal(key, literal, origin, computed, tolerance, job, advice)
                found = {key: item}
        for key, item in found.items():
            if key in compared:
                raise UsageError(f"--expect: {key} is given twice", hint="give each value once")
            compared[key] = item
    return compared, first_wrong


def _of_literal(
    key: str, literal: Literal, origin: Origin | None, computed: Tensor, tolerance: float, job: Job,
    advice: str
) -> Expected:  # fmt: skip
    """The verdict on numbers; `advice` is that for a miss that nothing explains."""
    make = TensorMaker(torch.float64, "cpu", job.read_stdin)
    value = widened(make(literal)).double()
    expected = claims.fitted(value, computed)
    met = agreements(expected, computed, tolerance)
    if expected.shape == computed.shape and all(met):
        return Expected(expected, computed, True, None, met=met, advice="")
    half = _half_units(literal, value).reshape(expected.shape)
    miss = misses.of_numbers(expected, computed, half, origin, job)
    if miss.slip is None:
        _check_shape(expected, computed, key)
    advice = miss.advice or advice
    return Expected(expected, computed, False, miss.slip, miss.row, met=met, advice=advice)


def _origin(path: str, result: Result) -> Origin | None:
    """The origin of the number at a path; None if it comes from many gradients."""
    keys = result_paths.keys(result_paths.tree(result), path)
    return result.origin(keys) if result.of_one_gradient else None


def _half_units(literal: Literal, value: Tensor) -> Tensor:
    """Half a unit of the last digit of each expected number, in their shape; 0 without text."""
    lines = isinstance(literal, FromFile)
    written = files.read(literal) if isinstance(literal, FromFile) else literal
    if not isinstance(written, Numbers):
        return torch.zeros_like(value)
    return torch.tensor(half_units(written, lines=lines), dtype=torch.float64).reshape(value.shape)


# --- names --------------------------------------------------------------------------------------


def _only(result: Result) -> str:
    """The one gradient that a bare number can mean."""
    paths = result.gradient_paths().items()
    names = [name for name, path in paths if result_paths.find(result, path) is not None]
    if len(names) == 1:
        return names[0]
    if not names:
        hint = "name a value, such as --expect value=1"
        raise UsageError("--expect: this result has no single gradient", hint=hint)
    message = f"--expect: the result has several gradients: {', '.join(names)}"
    raise UsageError(message, hint=f"name one: --expect {names[0]}=T")


def _path(key: str, result: Result) -> str:
    """The path of a key: a gradient, a field of a single function, or a `--get` path.

    Raises UsageError with the nearest paths if the key is none of these.
    """
    names = result.gradient_paths()
    first, *rest = result_paths.keys(names, key)
    if first in names:
        return ".".join([names[first], *rest])
    tree = result_paths.tree(result)
    path = result_paths.whole(tree, key)
    if path.partition(".")[0] in tree:
        return path
    if first in (steps := result.step_paths()):
        return ".".join([steps[first], *rest])
    leaves = dict(result_paths.leaves(tree))
    tensors = (path for path, leaf in leaves.items() if isinstance(leaf, Tensor))
    numbers = [*names, *(path for path in tensors if not path.startswith("inputs."))]
    near = did_you_mean(key, [*names, *steps, *result_paths.short(tree), *leaves])
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
