"""Notes: trouble that a run met on its way, one line each, with a code that `gradcli why` explains.

Each rule looks at one operation that the run passed. Cheap facts come first: only where they hint
at trouble is a slope measured, by PyTorch itself.
"""

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, TypeAlias

import torch
from torch import Tensor

from gradcli import core, result_paths
from gradcli.catalogue.functions import ACTIVATIONS, LOSSES
from gradcli.evaluate.job import Job, dtype_name
from gradcli.evaluate.origin import FEW, ends, finite, listed, origin
from gradcli.evaluate.watched import OTHERS, UNNAMED, WatchedOp
from gradcli.evidence.notes import kinks
from gradcli.evidence.notes.loss_notes import (
    SUMMED,
    TWICE,
    broadcasts,
    improbable,
    no_logarithms,
    twice,
)
from gradcli.results import Note, Result

Rule: TypeAlias = Callable[[WatchedOp, Sequence[WatchedOp]], Iterator[Note]]
"""What notes are due to an operation, given those in front of it."""

FLAT = 1e-6
"""A slope below this passes hardly any gradient: an activation is saturated there."""

REACH: Mapping[str, float] = {
    "sigmoid": 13, "tanh": 7, "hardsigmoid": 3, "hardtanh": 0, "logsigmoid": 13, "softsign": 999, "gelu": 4, "silu": 13,
    "mish": 13, "hardswish": 3, "softplus": 0, "elu": 13, "selu": 13, "celu": 0,
}  # fmt: skip
"""The activations that saturate, and how far from 0 none of them does yet (0 where that depends on
a parameter)."""

COARSE: Mapping[str, float] = {"sigmoid": 5, "tanh": 2.5, "softsign": 100}
"""The same for 16 bits, where the slope is made of a value near 1, which they round to 1 sooner."""

PIECE = 2**22
"""Elements at most that are looked at together where that takes memory."""

SAME = 1e-3
"""Slopes on two sides of a point that differ by less than this part of them are told as equal."""

NEAR = 0.1
"""Around a kink, more than rounding in any dtype moves the place of one."""

ROWS = 10_000
"""Elements up to which a loss of whole rows is looked at row by row."""


def note_result(result: Result, job: Job) -> None:
    """Note on the job whatever its run met, and numbers of the result that are not finite with
    where they came from.
    """
    collect_notes(job, result.unnoted)
    told = any(note.code == "not-a-number" for note in job.notes)
    if not (told or _all_finite(result)):
        broken = [path for path, tensor in _numbers(result) if not finite(tensor)]
        more = f" and {len(broken) - 3} more" if len(broken) > 3 else ""
        what = f"NaN or inf in {', '.join(broken[:3])}{more}"
        for cause in {origin(subject, job): None for subject in result.subjects} or {"": None}:
            job.note("not-a-number", f"{what}: {cause}" if cause else what)


def collect_notes(job: Job, told: Container[str]) -> None:
    """Turn what the job has passed into notes, codes that were told already left out, and forget
    it.
    """
    for number, op in enumerate(job.watched):
        for rule in _RULES.get(op.name, ()):
            for note in rule(op, job.watched[:number]):
                if note.code not in told:
                    job.note(note.code, note.text)
    job.watched.clear()


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
        items: Iterable[tuple[Any, Any]] = (
            value.items() if isinstance(value, dict) else enumerate(value)
        )
    else:
        items = ((name, getattr(value, name)) for name in _computed(kind))
    for key, item in items:
        yield from _numbers(item, f"{path}.{key}" if path else str(key))


@cache
def _computed(kind: type) -> tuple[str, ...]:
    """The fields of a type of results that may hold computed numbers; none of another type."""
    found = fields(kind) if is_dataclass(kind) else ()
    return tuple(
        f.name
        for f in found
        if f.type is not str and not (f.metadata.get("given") or f.metadata.get("as_run"))
    )


# --- saturation ---------------------------------------------------------------------------------


def _saturated(op: WatchedOp, before: Sequence[WatchedOp]) -> Iterator[Note]:
    x = op.operands[0]
    if not _differentiated(x):
        return
    reach, (low, high) = _reach(op, x), ends(x)
    if -reach <= low and high <= reach:
        return
    least, at, count = torch.inf, 0, 0
    for start, flat, slope in _flat_slopes(op, x.detach().reshape(-1), reach):
        if float(slope.min()) < least:
            least, at = float(slope.min()), start + int(flat[slope.argmin()])
        count += flat.numel()
    if not count:
        return
    how = f"exactly 0 in {dtype_name(x)}" if least == 0 else f"{least:.2g}"
    more = f"; {count} of {x.numel()} elements are saturated" if count > 1 else ""
    place = _place(op, result_paths.index(at, x.shape))
    yield Note("saturated", f"{op.name} is saturated at {place}: its slope is {how}{more}")


def _reach(op: WatchedOp, x: Tensor) -> float:
    """How far from 0 an activation has no slope yet that is flat, or that is 0 by rounding
    alone.
    """
    if op.settings.get("alpha", 1) != 1:
        return 0
    coarse = COARSE if torch.finfo(x.dtype).bits == 16 else REACH
    return coarse.get(op.name, REACH[op.name])


def _flat_slopes(op: WatchedOp, x: Tensor, reach: float) -> Iterator[tuple[int, Tensor, Tensor]]:
    """Where an elementwise function of many numbers is flat: a piece's start, places in it, and the
    size of their slopes.

    A bounded number at a time is differentiated once more, those that are not far too: vectorised,
    PyTorch may round otherwise. At a kink there is no slope.
    """
    bends = kinks.of_activation(op.name, op.settings)
    for start in range(0, x.numel(), PIECE):
        piece = x[start : start + PIECE]
        slope = core.slopes(_of_operand(op, 0), piece)[1].abs()
        flat = (slope < FLAT) & (piece.abs() > reach)
        for place in bends:
            flat &= piece != place
        if bool(flat.any()):
            yield start, flat.nonzero().view(-1), slope[flat]


def _saturated_rows(op: WatchedOp, before: Sequence[WatchedOp]) -> Iterator[Note]:
    """Softmax: a row is saturated when one probability is as good as 1, so that every p_i (1 - p_j)
    vanishes.
    """
    if not _differentiated(op.operands[0]) or not op.value.numel():
        return
    p = op.value.detach()
    dim = op.dimension
    if not p.ndim or p.shape[dim] == 1:
        if bool((p == 1).all()):
            yield Note("saturated", f"{op.name} over 1 element is always 1: its gradient is 0")
        return
    if p.numel() <= FEW and max(listed(p)) < 1 - 2 * FLAT:
        return
    slope = (p * (1 - p)).amax(dim)
    flat = (slope < FLAT) & (p.amax(dim) > 0.5)  # of very many, each probability may be that small
    if bool(flat.any()):
        largest = float(slope[flat].max())
        how = f"exactly 0 in {dtype_name(p)}" if largest == 0 else f"at most {largest:.2g}"
        rows = f"in {int(flat.sum())} of {flat.numel()} rows" if flat.ndim else ""
        text = f"{op.name} is saturated {rows}".rstrip()
        yield Note("saturated", f"{text}: one probability is almost 1, and the slopes are {how}")


def _dead(op: WatchedOp, before: Sequence[WatchedOp]) -> Iterator[Note]:
    x = op.operands[0]
    if _differentiated(x) and (largest := ends(x)[1]) < 0:
        text = (
            f"every input of {op.name} is negative (the largest of {op.label()} is {largest:.6g})"
        )
        yield Note("dead-relu", f"{text}: its gradient is exactly 0")


# --- kinks --------------------------------------------------------------------------------------


def _kink(op: WatchedOp, before: Sequence[WatchedOp]) -> Iterator[Note]:
    x = op.operands[0]
    if _differentiated(x):
        low, high = ends(x)
        for place in kinks.of_activation(op.name, op.settings):
            if not (low > place + NEAR or high < place - NEAR or _draws(op)):
                yield from _at_kink(op, 0, x.detach() == place)


def _draws(op: WatchedOp) -> bool:
    """Whether rrelu is training: its slope on the left was drawn, and would be drawn again."""
    return op.name == "rrelu" and (op.settings.get("training") is True or True in op.operands[3:])


def _loss_kink(op: WatchedOp, before: Sequence[WatchedOp]) -> Iterator[Note]:
    pred, target = op.operands[:2]  # parameters may follow
    mixes = LOSSES[op.name].mixes
    if _differentiated(pred) and (mixes != "row" or pred.numel() <= ROWS):
        yield from _at_kink(
            op, 0, kinks.of_loss(op.name, op.settings, pred, target), apart=not mixes
        )


def _other_kink(op: WatchedOp, before: Sequence[WatchedOp]) -> Iterator[Note]:
    """Functions beside the catalogue: the operand that is differentiated, and where it meets 0, a
    bound or a tie.
    """
    for place, operand in enumerate(op.operands):
        if _differentiated(operand):
            rest = [other for number, other in enumerate(op.operands) if number != place]
            apart = (
                op.name in ("abs", "absolute", "clamp", "clip")
                or place > 0
                or kinks.compares(op.name, rest)
            )
            hits = kinks.of_other(op.name, op.operands, op.settings, place)
            yield from _at_kink(op, place, hits, apart=apart)
            return


def _at_kink(op: WatchedOp, place: int, hits: Tensor, *, apart: bool = True) -> Iterator[Note]:
    """What elements in the places `hits` meet; `apart`: each has outputs of its own, so all are
    measured, else the first.
    """
    if not bool(hits.any()):
        return
    x = op.operands[place].detach()
    found = hits.reshape(-1).nonzero().view(-1)
    measured = found if apart else found[:1]
    mask = torch.zeros_like(hits.reshape(-1)).index_fill(0, measured, value=True).view(hits.shape)
    left, chosen, right = kinks.slopes(_of_operand(op, place), x, mask)
    bent = (left - right).abs() > SAME * torch.maximum(left.abs(), right.abs())
    if not bool(bent.any()):
        return
    count = int(bent.sum()) if apart else found.numel()
    more = f"; {count} elements are at a kink" if count > 1 else ""
    first = int(bent.to(torch.uint8).argmax())
    where = f"{op.name} has a kink at {_place(op, result_paths.index(int(measured[first]), x.shape), place)}"
    about = (
        "about " if torch.finfo(x.dtype).bits == 16 else ""
    )  # beside the kink is not near it there
    sides = f"left {about}{float(left[first]):.4g}, right {about}{float(right[first]):.4g}"
    yield Note(
        "kink", f"{where}: PyTorch takes the slope {float(chosen[first]):.4g} ({sides}){more}"
    )


# --- words --------------------------------------------------------------------------------------


def _differentiated(x: Any) -> bool:
    return isinstance(x, Tensor) and x.requires_grad and not x.is_complex()


def _of_operand(op: WatchedOp, place: int) -> Callable[[Tensor], Tensor]:
    """The operation as a function of one of its operands, the others as they were."""

    def function(x: Tensor) -> Tensor:
        value = op.again(*op.operands[:place], x, *op.operands[place + 1 :])
        found: Tensor = value[0] if isinstance(value, tuple) else value
        return found

    return function


def _place(op: WatchedOp, at: tuple[int, ...], operand: int = 0) -> str:
    """An element of an operand and its number: `x[1] = 100`."""
    label = UNNAMED if operand else op.label()
    if at:
        whole = label if label.isidentifier() or label == UNNAMED else f"({label})"
        label = f"{whole}[{','.join(map(str, at))}]"
    return f"{label} = {float(op.operands[operand].detach()[at]):.6g}"


def _table() -> dict[str, tuple[Rule, ...]]:
    """The rules of each function that notes look at."""
    rules: dict[str, list[Rule]] = {name: [_saturated] for name in REACH}
    rules |= {"softmax": [_saturated_rows], "softmin": [_saturated_rows], "relu": [_dead]}
    more: Sequence[tuple[Rule, Iterable[str]]] = (
        (_kink, (name for name, entry in ACTIVATIONS.items() if entry.kinks and entry.derivative)),
        (_loss_kink, (name for name, entry in LOSSES.items() if entry.kinks)),
        (_other_kink, OTHERS),
        (twice, TWICE),
        (no_logarithms, ("nll", "kl_div")),
        (
            improbable,
            (
                name
                for name, entry in LOSSES.items()
                if entry.target == "probability" or name in SUMMED
            ),
        ),
        (broadcasts, (name for name, entry in LOSSES.items() if entry.broadcasts)),
    )
    for rule, names in more:
        for name in names:
            rules.setdefault(name, []).append(rule)
    return {name: tuple(found) for name, found in rules.items()}


_RULES = _table()


def at_kink(watched: Sequence[WatchedOp]) -> bool:
    """Whether any operation of a run is at a kink."""
    return any(
        _CODES[rule] == "kink" and any(True for _ in rule(op, ()))
        for op in watched
        for rule in _RULES.get(op.name, ())
    )


def codes(name: str) -> list[str]:
    """The codes of the notes that may be due to a function."""
    return list(dict.fromkeys(_CODES[rule] for rule in _RULES.get(name, ())))


_CODES: Mapping[Rule, str] = {
    _saturated: "saturated", _saturated_rows: "saturated", _dead: "dead-relu", _kink: "kink", _loss_kink: "kink",
    _other_kink: "kink", twice: "double-softmax", no_logarithms: "probabilities", improbable: "probabilities",
    broadcasts: "broadcast",
}  # fmt: skip
"""The code of the notes that each rule makes."""
