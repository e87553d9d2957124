"""Notes: trouble that a run met on its way, one line each, with a code that `gradcli why` explains.

Each rule looks at one operation that the run passed. Cheap facts come first: only where they hint at trouble is a slope
measured, by PyTorch itself.
"""

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from typing import Any, TypeAlias

import torch
from torch import Tensor

from gradcli import addresses, core
from gradcli.compute import kinks
from gradcli.compute.job import Job, broadcast, dtype_name, together
from gradcli.compute.origin import FEW, finite, listed, origin
from gradcli.compute.program import program_of
from gradcli.compute.sights import OTHERS, UNNAMED, Sight
from gradcli.results import ActivateResult, HessianResult, Note, Result
from gradcli.tables.catalogue import ACTIVATIONS, BY_ROW, LOSSES

Rule: TypeAlias = Callable[[Sight, Sequence[Sight]], Iterator[Note]]
"""What notes are due to a sight, given those in front of it."""

FLAT = 1e-6
"""A slope below this passes hardly any gradient: an activation is saturated there."""

REACH: Mapping[str, float] = {
    "sigmoid": 13, "tanh": 7, "hardsigmoid": 3, "hardtanh": 0, "logsigmoid": 13, "softsign": 999, "gelu": 4, "silu": 13,
    "mish": 13, "hardswish": 3, "softplus": 0, "elu": 13, "selu": 13, "celu": 0,
}  # fmt: skip
"""The activations that saturate, and how far from 0 none of them does yet (0 where that depends on a parameter)."""

PIECE = 2**22
"""Elements at most that are looked at together where that takes memory."""

NEAR = 0.1
"""Around a kink, more than rounding in any dtype moves the place of one."""

ROWS = 10_000
"""Elements up to which a loss of whole rows is looked at row by row."""


def remark(result: Result, job: Job) -> None:
    """Note on the job whatever its run met, and numbers of the result that are not finite with where they came from."""
    tried_out = isinstance(result, ActivateResult)  # there x is no neuron's input
    look(job, {"dead-relu"} if tried_out else ())
    told = any(note.code == "not-a-number" for note in job.notes)
    if not (told or _all_finite(result)):
        broken = [path for path, tensor in _numbers(result) if not finite(tensor)]
        more = f" and {len(broken) - 3} more" if len(broken) > 3 else ""
        what = f"NaN or inf in {', '.join(broken[:3])}{more}"
        for cause in {origin(subject, job): None for subject in result.subjects} or {"": None}:
            job.note("not-a-number", f"{what}: {cause}" if cause else what)
    if isinstance(result, HessianResult):
        for subject in result.subjects:
            for name in subject.by:
                if name not in program_of(subject).names:
                    job.note("unused-input", f"the result does not depend on {name}: its derivatives are 0")


def look(job: Job, told: Container[str]) -> None:
    """Turn what the job has passed into notes, codes that were told already left out, and forget it."""
    for number, sight in enumerate(job.sights):
        for rule in _RULES.get(sight.name, ()):
            for note in rule(sight, job.sights[:number]):
                if note.code not in told:
                    job.note(note.code, note.text)
    job.sights.clear()


_ASIDE = frozenset({"inputs", "defaults", "notes", "subjects", "history", "steps", "upstream", "x"})
"""Fields that hold no computed numbers."""


def _all_finite(result: Result) -> bool:
    """Whether every computed number of a result is finite."""
    agenda: list[Any] = [result]
    for value in agenda:
        kind: type = type(value)
        if kind is Tensor:
            if not finite(value):
                return False
        elif kind is dict:
            agenda.extend(value.values())
        elif kind is list:
            agenda.extend(value)
        elif names := _computed(kind):
            held = vars(value)
            agenda.extend([item for name in names if (item := held[name]) is not None])
    return True


def _numbers(value: Any, path: str = "") -> Iterator[tuple[str, Tensor]]:
    """The tensors of a result under their `--get` paths, those that were given left out."""
    if isinstance(value, Tensor):
        yield path, value
        return
    kind: type = type(value)
    if isinstance(value, dict | list):
        items: Iterable[tuple[Any, Any]] = value.items() if isinstance(value, dict) else enumerate(value)
    else:
        items = ((name, getattr(value, name)) for name in _computed(kind))
    for key, item in items:
        yield from _numbers(item, f"{path}.{key}" if path else str(key))


@cache
def _computed(kind: type) -> tuple[str, ...]:
    """The fields of a type of results that may hold computed numbers; none of another type."""
    found = fields(kind) if is_dataclass(kind) else ()
    return tuple(f.name for f in found if f.type is not str and f.name not in _ASIDE)


# --- saturation -----------------------------------------------------------------------------------------------------


def _saturated(sight: Sight, before: Sequence[Sight]) -> Iterator[Note]:
    x = sight.operands[0]
    if not _differentiated(x) or not _reaches_beyond(x, REACH[sight.name]):
        return
    least, at, count = torch.inf, 0, 0
    for start, flat, slope in _flat_slopes(sight, x.detach().reshape(-1)):
        if float(slope.min()) < least:
            least, at = float(slope.min()), start + int(flat[slope.argmin()])
        count += flat.numel()
    if not count:
        return
    how = f"exactly 0 in {dtype_name(x)}" if least == 0 else f"{least:.2g}"
    more = f"; {count} of {x.numel()} elements are saturated" if count > 1 else ""
    place = _place(sight, addresses.index(at, x.shape))
    yield Note("saturated", f"{sight.name} is saturated at {place}: its slope is {how}{more}")


def _flat_slopes(sight: Sight, x: Tensor) -> Iterator[tuple[int, Tensor, Tensor]]:
    """Where an elementwise function of many numbers is flat: a piece's start, places in it, and the size of their slopes.

    Only what lies beyond the reach is differentiated once more, a bounded number at a time.
    """
    for start in range(0, x.numel(), PIECE):
        piece = x[start : start + PIECE]
        far = (piece.abs() > REACH[sight.name]).nonzero().view(-1)
        slope = core.slopes(_of_operand(sight, 0), piece[far])[1].abs()
        flat = slope < FLAT
        if bool(flat.any()):
            yield start, far[flat], slope[flat]


def _reaches_beyond(x: Tensor, reach: float) -> bool:
    low, high = _ends(x)
    return high > reach or low < -reach


def _ends(x: Tensor) -> tuple[float, float]:
    """The smallest and the largest number of a tensor; 0 and 0 where it is empty."""
    if x.numel() > FEW:
        low, high = torch.aminmax(x.detach())
        return float(low), float(high)
    found = listed(x) or [0.0]
    return min(found), max(found)


def _saturated_rows(sight: Sight, before: Sequence[Sight]) -> Iterator[Note]:
    """Softmax: a row is saturated when one probability is as good as 1, so that every p_i (1 - p_j) vanishes."""
    if not _differentiated(sight.operands[0]) or not sight.value.numel():
        return
    p = sight.value.detach()
    dim = _dimension(sight)
    if not p.ndim or p.shape[dim] == 1:
        yield Note("saturated", f"{sight.name} over 1 element is always 1: its gradient is 0")
        return
    if p.numel() <= FEW and max(listed(p)) < 1 - 2 * FLAT:
        return
    slope = (p * (1 - p)).amax(dim)
    flat = slope < FLAT
    if bool(flat.any()):
        largest = float(slope[flat].max())
        how = f"exactly 0 in {dtype_name(p)}" if largest == 0 else f"{largest:.2g} at most"
        rows = f"in {int(flat.sum())} of {flat.numel()} rows" if flat.ndim else ""
        text = f"{sight.name} is saturated {rows}".rstrip()
        yield Note("saturated", f"{text}: one probability is as good as 1, and the slopes are {how}")


def _dead(sight: Sight, before: Sequence[Sight]) -> Iterator[Note]:
    x = sight.operands[0]
    if _differentiated(x) and (largest := _ends(x)[1]) < 0:
        text = f"every input of {sight.name} is negative (the largest of {sight.label()} is {largest:.6g})"
        yield Note("dead-relu", f"{text}: its gradient is exactly 0")


# --- kinks ----------------------------------------------------------------------------------------------------------


def _kink(sight: Sight, before: Sequence[Sight]) -> Iterator[Note]:
    x = sight.operands[0]
    if _differentiated(x):
        low, high = _ends(x)
        for place in kinks.of_activation(sight.name, sight.settings):
            if not (low > place + NEAR or high < place - NEAR):
                yield from _at_kink(sight, 0, x.detach() == place)


def _loss_kink(sight: Sight, before: Sequence[Sight]) -> Iterator[Note]:
    pred, target = sight.operands[:2]  # parameters may follow
    if _differentiated(pred) and (sight.name not in BY_ROW or pred.numel() <= ROWS):
        yield from _at_kink(sight, 0, kinks.of_loss(sight.name, sight.settings, pred, target))


def _other_kink(sight: Sight, before: Sequence[Sight]) -> Iterator[Note]:
    """Functions beside the catalogue: the operand that is differentiated, and where it meets 0, a bound or a tie."""
    for place, operand in enumerate(sight.operands):
        if _differentiated(operand):
            yield from _at_kink(sight, place, kinks.of_other(sight.name, sight.operands, sight.settings, place))
            return


def _at_kink(sight: Sight, place: int, hits: Tensor) -> Iterator[Note]:
    if not bool(hits.any()):
        return
    x = sight.operands[place].detach()
    at = addresses.index(int(hits.reshape(-1).to(torch.uint8).argmax()), x.shape)
    left, chosen, right = (f"{slope:.4g}" for slope in kinks.slopes(_of_operand(sight, place), x, at))
    if left == right:
        return
    count = int(hits.sum())
    more = f"; {count} elements are at one" if count > 1 else ""
    where = f"{sight.name} has a kink at {_place(sight, at, place)}"
    yield Note("kink", f"{where}: PyTorch takes the slope {chosen} (left {left}, right {right}){more}")


# --- losses ---------------------------------------------------------------------------------------------------------


def _twice(sight: Sight, before: Sequence[Sight]) -> Iterator[Note]:
    """A function that applies softmax or sigmoid by itself, fed with what they made."""
    x, wants = sight.operands[0], _WANTS[sight.name]
    maker = next((other.name for other in before if other.value is x and other.name in wants.made_by), "")
    if maker:
        yield Note("double-softmax", f"{sight.name} is given what {maker} made: {wants.words}")
    elif wants.rows and isinstance(x, Tensor) and _looks_like_probabilities(x):
        text = f"{sight.name} is given rows between 0 and 1 that add up to 1, like those of softmax"
        yield Note("double-softmax", f"{text}: {wants.words}")


@dataclass(frozen=True)
class _Wants:
    """What a function must not be given: what these make, or with `rows` whatever looks like it; `words` say what instead."""

    made_by: tuple[str, ...]
    words: str
    rows: bool = False


_WANTS = {
    "cross_entropy": _Wants(("softmax",), "it applies softmax itself, so give it the logits", rows=True),
    "nll": _Wants(("softmax",), "it wants log-probabilities, so use log_softmax", rows=True),
    "bce_with_logits": _Wants(("sigmoid",), "it applies sigmoid itself, so give it the logits, or use bce"),
    "softmax": _Wants(("softmax",), "softmax twice makes probabilities more alike; once is enough"),
}


def _looks_like_probabilities(x: Tensor) -> bool:
    """Whether every row lies strictly between 0 and 1 and adds up to 1."""
    if not x.ndim or not x.is_floating_point() or not x.numel() or x.shape[_class_dimension(x)] < 2:
        return False
    x = x.detach()
    low, high = _ends(x)
    return low > 0 and high < 1 and not bool(_off_one(x).any())


def _improbable(sight: Sight, before: Sequence[Sight]) -> Iterator[Note]:
    """Targets that are to be probabilities, and are none."""
    pred, target = sight.operands[:2]  # parameters may follow
    if not (isinstance(pred, Tensor) and isinstance(target, Tensor) and target.is_floating_point() and target.numel()):
        return
    target = target.detach()
    low, high = _ends(target)
    if sight.name == "kl_div" and sight.settings.get("log_target"):
        target, low, high = target.exp(), 0.0, 1.0
    if low < 0 or high > 1:
        end = low if low < 0 else high
        yield Note("probabilities", f"a target of {sight.name} is {end:.6g}: probabilities lie between 0 and 1")
    elif sight.name in SUMMED and target.ndim and target.shape == pred.shape:
        yield from _sums(sight.name, "target", target)
    if sight.name == "kl_div" and (largest := _ends(pred)[1]) > 0:
        words = "kl_div wants log-probabilities, such as log_softmax gives"
        yield Note("probabilities", f"an element of {sight.label()} is {largest:.6g}: {words}")


def _sums(name: str, what: str, x: Tensor) -> Iterator[Note]:
    off = _off_one(x)
    if bool(off.any()):
        dim = -1 if name == "kl_div" else _class_dimension(x)
        sums = x.sum(dim).reshape(-1)
        wrong = sums[(sums - 1).abs().argmax()]
        yield Note(
            "probabilities", f"a row of the {what} of {name} adds up to {float(wrong):.6g}, and probabilities to 1"
        )


SUMMED = frozenset({"cross_entropy", "kl_div"})
"""Losses whose target holds the probabilities of one distribution per row."""


def _off_one(x: Tensor) -> Tensor:
    """Which rows do not add up to 1, as far as rounding allows to tell."""
    return (x.double().sum(_class_dimension(x)) - 1).abs() > 8 * torch.finfo(x.dtype).eps * x.shape[
        _class_dimension(x)
    ] + 1e-5


def _class_dimension(x: Tensor) -> int:
    return min(1, x.ndim - 1)


def _broadcasts(sight: Sight, before: Sequence[Sight]) -> Iterator[Note]:
    """A loss for which PyTorch does not warn by itself."""
    pred, target = sight.operands[:2]  # parameters may follow
    if (
        isinstance(pred, Tensor)
        and isinstance(target, Tensor)
        and together(pred.shape, target.shape) != list(pred.shape)
    ):
        yield broadcast(pred.shape, target.shape)


# --- words ----------------------------------------------------------------------------------------------------------


def _differentiated(x: Any) -> bool:
    return isinstance(x, Tensor) and x.requires_grad and not x.is_complex()


def _of_operand(sight: Sight, place: int) -> Callable[[Tensor], Tensor]:
    """The operation as a function of one of its operands, the others as they were."""

    def function(x: Tensor) -> Tensor:
        value = sight.again(*sight.operands[:place], x, *sight.operands[place + 1 :])
        found: Tensor = value[0] if isinstance(value, tuple) else value
        return found

    return function


def _dimension(sight: Sight) -> int:
    """The dimension along which softmax goes."""
    given = [*sight.operands[1:2], sight.settings.get("dim")]
    return next((dim for dim in given if isinstance(dim, int)), -1)


def _place(sight: Sight, at: tuple[int, ...], operand: int = 0) -> str:
    """An element of an operand and its number: `x[1] = 100`."""
    label = UNNAMED if operand else sight.label()
    if at:
        whole = label if label.isidentifier() or label == UNNAMED else f"({label})"
        label = f"{whole}[{','.join(map(str, at))}]"
    return f"{label} = {float(sight.operands[operand].detach()[at]):.6g}"


def _table() -> dict[str, tuple[Rule, ...]]:
    """The rules of each function that notes look at."""
    rules: dict[str, list[Rule]] = {name: [_saturated] for name in REACH}
    rules |= {"softmax": [_saturated_rows], "softmin": [_saturated_rows], "relu": [_dead]}
    more: Sequence[tuple[Rule, Iterable[str]]] = (
        (_kink, (name for name, entry in ACTIVATIONS.items() if entry.kinks and entry.derivative)),
        (_loss_kink, (name for name, entry in LOSSES.items() if entry.kinks)),
        (_other_kink, OTHERS),
        (_twice, _WANTS),
        (_improbable, (name for name, entry in LOSSES.items() if entry.target == "probability" or name in SUMMED)),
        (_broadcasts, ("l2_norm", "kl_div", "poisson_nll", "hinge_embedding")),
    )
    for rule, names in more:
        for name in names:
            rules.setdefault(name, []).append(rule)
    return {name: tuple(found) for name, found in rules.items()}


_RULES = _table()


def at_kink(sights: Sequence[Sight]) -> bool:
    """Whether any operation of a run is at a kink."""
    return any(
        _CODES[rule] == "kink" and any(True for _ in rule(sight, ()))
        for sight in sights
        for rule in _RULES.get(sight.name, ())
    )


def codes(name: str) -> list[str]:
    """The codes of the notes that may be due to a function."""
    return list(dict.fromkeys(_CODES[rule] for rule in _RULES.get(name, ())))


_CODES: Mapping[Rule, str] = {
    _saturated: "saturated", _saturated_rows: "saturated", _dead: "dead-relu", _kink: "kink", _loss_kink: "kink",
    _other_kink: "kink", _twice: "double-softmax", _improbable: "probabilities", _broadcasts: "broadcast",
}  # fmt: skip
"""The code of the notes that each rule makes."""
