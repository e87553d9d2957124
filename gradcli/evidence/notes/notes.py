"""Notes: trouble that a run met, one line each, with a code that `gradcli why` explains.

Each rule examines one operation of the run. Cheap facts come first: only if they hint at trouble,
PyTorch measures a slope.
"""

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, TypeAlias

import torch
from torch import Tensor

from gradcli import core
from gradcli.catalogue.functions import ACTIVATIONS, CATALOGUE, LOSSES
from gradcli.evaluate.job import Job, dtype_name
from gradcli.evaluate.origin import FEW, ends, finite, listed, origin
from gradcli.evaluate.watched import NORMS, ORDERING, OTHERS, UNNAMED, WatchedOp
from gradcli.evidence.notes import kinks, loss_notes
from gradcli.results import Note, Result, element

Rule: TypeAlias = Callable[[WatchedOp, Sequence[WatchedOp]], Iterator[Note]]
"""The notes on an operation, given the operations before it."""

FLAT = 1e-6
"""A slope below this passes hardly any gradient: the activation is saturated there."""

REACH: Mapping[str, float] = {
    "sigmoid": 13, "tanh": 7, "hardsigmoid": 3, "hardtanh": 0, "logsigmoid": 13, "softsign": 999, "gelu": 4, "silu": 13,
    "mish": 13, "hardswish": 3, "softplus": 0, "elu": 13, "selu": 13, "celu": 0,
}  # fmt: skip
"""The activations that saturate, and the distance from 0 within which none does (0 if that depends
on a parameter)."""

COARSE: Mapping[str, float] = {"sigmoid": 5, "tanh": 2.5, "softsign": 100}
"""The same for 16 bits, which round a value near 1 to 1 sooner, and the slope is made of that
value."""

PIECE = 2**22
"""Elements that are examined together, at most, if that takes memory."""

NEAR = 0.1
"""The distance around a kink, more than rounding in any dtype moves its place."""

ROWS = 10_000
"""Elements up to which a loss of whole rows is examined row by row."""


def note_result(result: Result, job: Job) -> None:
    """Add notes on the run, and on non-finite numbers with their origin, to the job."""
    collect_notes(job, result.unnoted)
    noted = any(note.code == "not-a-number" for note in job.notes)
    if not (noted or _all_finite(result)):
        broken = [path for path, tensor in _numbers(result) if not finite(tensor)]
        more = f" and {len(broken) - 3} more" if len(broken) > 3 else ""
        text = f"NaN or inf in {', '.join(broken[:3])}{more}"
        first = None if result.subjects else result.origin(broken[0].split("."))
        subjects = [first.subject] if first and first.subject else result.subjects
        causes = dict.fromkeys(filter(None, (origin(each, job) for each in subjects)))
        for cause in causes or [""]:
            job.note("not-a-number", f"{text}: {cause}" if cause else text)


def collect_notes(job: Job, unnoted: Container[str]) -> None:
    """Turn the job's watched operations into notes, except for `unnoted` codes, and clear them.

    Those of sparse tensors, for which PyTorch has few comparisons, are left out.
    """
    for number, op in enumerate(job.watched):
        tensors = (operand for operand in op.operands if isinstance(operand, Tensor))
        dense = all(tensor.layout == torch.strided for tensor in tensors)
        for rule in _RULES.get(op.name, ()) if dense else ():
            for note in rule(op, job.watched[:number]):
                if note.code not in unnoted:
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
    """The computed tensors of a result, by their `--get` paths."""
    if isinstance(value, Tensor):
        yield path, value
        return
    kind: type = type(value)
    items: Iterable[tuple[Any, Any]] = ((name, getattr(value, name)) for name in _computed(kind))
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        yield from _numbers(item, f"{path}.{key}" if path else str(key))


@cache
def _computed(kind: type) -> tuple[str, ...]:
    """The fields of a result type that may hold computed numbers; other types have none."""
    members = [f for f in fields(kind) if f.type is not str] if is_dataclass(kind) else []
    skipped = ("given", "as_run")
    return tuple(f.name for f in members if not any(f.metadata.get(mark) for mark in skipped))


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
    place = _place(op, at)
    yield Note("saturated", f"{op.name} is saturated at {place}: its slope is {how}{more}")


def _reach(op: WatchedOp, x: Tensor) -> float:
    """The distance from 0 within which the slope is neither flat nor 0 by rounding alone."""
    if op.settings.get("alpha", 1) != 1:
        return 0
    coarse = COARSE if x.dtype.itemsize == 2 else REACH
    return coarse.get(op.name, REACH[op.name])


def _flat_slopes(op: WatchedOp, x: Tensor, reach: float) -> Iterator[tuple[int, Tensor, Tensor]]:
    """Where an elementwise function is flat: for each piece its start, places and sizes of slopes.

    A bounded number of elements at a time is differentiated again, also those near 0: vectorised,
    PyTorch may round differently. At a kink there is no slope.
    """
    bends = kinks.of_activation(op.name, op.settings)
    for start in range(0, x.numel(), PIECE):
        piece = x[start : start + PIECE]
        slope = core.slopes(_outputs(op), piece)[1].abs()
        flat = (slope < FLAT) & (piece.abs() > reach)
        for place in bends:
            flat &= piece != place
        if bool(flat.any()):
            yield start, flat.nonzero().view(-1), slope[flat]


def _saturated_rows(op: WatchedOp, before: Sequence[WatchedOp]) -> Iterator[Note]:
    """Softmax is saturated in a row with one probability near 1: every p_i (1 - p_j) vanishes.

    A row of which a mask leaves one element is not: its probability is 1, whatever the number.
    """
    if not _differentiated(op.operands[0]) or not op.value.numel():
        return
    p = op.value.detach()
    if p.numel() <= FEW and max(listed(p)) < 1 - 2 * FLAT:
        return
    dim = op.dimension
    if not p.ndim or p.shape[dim] == 1:
        if bool((p == 1).all()):
            yield Note("saturated", f"{op.name} over 1 element is always 1: its gradient is 0")
        return
    slope = (p * (1 - p)).amax(dim)
    flat = (slope < FLAT) & (p.amax(dim) > 0.5)  # of very many, each probability may be that small
    left = op.operands[0].detach() != (torch.inf if op.name == "softmin" else -torch.inf)
    flat &= left.sum(dim) > 1
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
    """Whether rrelu is training: its slope on the left is random, and would be drawn again."""
    return op.name == "rrelu" and (op.settings.get("training") is True or True in op.operands[3:])


def _loss_kink(op: WatchedOp, before: Sequence[WatchedOp]) -> Iterator[Note]:
    pred, mixes = op.operands[0], LOSSES[op.name].mixes
    if _differentiated(pred) and (mixes != "row" or pred.numel() <= ROWS):
        yield from _at_kink(op, 0, kinks.of_loss(op), apart=not mixes)


def _other_kink(op: WatchedOp, before: Sequence[WatchedOp]) -> Iterator[Note]:
    """Functions besides the catalogue's: the differentiated operand, at 0, a bound or a tie."""
    for place, operand in enumerate(op.operands):
        if _differentiated(operand):
            elementwise = place > 0 or kinks.compares(op.name, op.operands[1:])
            apart = elementwise and op.name not in NORMS
            yield from _at_kink(op, place, kinks.of_other(op, place), apart=apart)
            return


def _tie(op: WatchedOp, before: Sequence[WatchedOp]) -> Iterator[Note]:
    """Functions that choose by order, at elements that are equal, by what reaches their outputs."""
    x = op.operands[0]
    if not _differentiated(x) or x.numel() > kinks.WORK:
        return
    function, counts = _outputs(op), op.name == "mode"
    if found := kinks.at_ties(function, x.detach(), _moving(x), _upstream(op), counts=counts):
        places, complete, output, (left, right) = found
        slopes = core.slopes(lambda x: function(x)[output], x)[1].reshape(-1)
        count = f"{'' if complete else 'at least '}{len(places)}" if len(places) > 1 else ""
        yield _kink_note(op, 0, places[0], (left, float(slopes[places[0]]), right), count)


def _upstream(op: WatchedOp) -> Tensor | None:
    """What reached the real outputs of an operation, [outputs]; None if that is not known."""
    held = zip(op.upstream, op.outputs, strict=True) if any(op.upstream) else ()
    parts = [(one[0] if one else torch.zeros_like(output)).reshape(-1) for one, output in held]
    return torch.cat(parts).detach().double() if parts else None


def _at_kink(op: WatchedOp, place: int, hits: Tensor, *, apart: bool = True) -> Iterator[Note]:
    """The note on elements in the mask `hits`; all are measured if their outputs are `apart`."""
    hits = hits & _moving(op.operands[place])
    if not bool(hits.any()):
        return
    x = op.operands[place].detach()
    places = hits.reshape(-1).nonzero().view(-1)
    measured = places if apart else places[:1]
    mask = torch.zeros_like(hits.reshape(-1)).index_fill(0, measured, value=True).view(hits.shape)
    left, chosen, right = kinks.slopes(_outputs(op, place), x, mask, wide=op.name in NORMS)
    bent = (left - right).abs() > kinks.SAME * torch.maximum(left.abs(), right.abs())
    if not bool(bent.any()):
        return
    count = int(bent.sum()) if apart else places.numel()
    first = int(bent.to(torch.uint8).argmax())
    beside = float(left[first]), float(chosen[first]), float(right[first])
    yield _kink_note(op, place, int(measured[first]), beside, str(count) if count > 1 else "")


def _kink_note(op: WatchedOp, place: int, at: int, slopes: Sequence[float], count: str) -> Note:
    """The note on the element `at` of an operand: the slopes on the left, chosen, and on the right."""
    left, chosen, right = (slope + 0 for slope in slopes)  # -0 becomes 0
    more = f"; {count} elements are at a kink" if count else ""
    where = _place(op, at, place)
    # In 16 bits the points beside a kink are not near it.
    about = "about " if op.operands[place].dtype.itemsize == 2 else ""
    sides = f"left {about}{left:.4g}, right {about}{right:.4g}"
    slope = f"PyTorch takes the slope {chosen:.4g} ({sides})"
    return Note("kink", f"{op.name} has a kink at {where}: {slope}{more}")


def _moving(x: Tensor) -> Tensor:
    """The elements that can move: not infinite ones, nor those that a relu keeps at 0, whose own kink
    is another note.
    """
    kept = x.grad_fn is not None and x.grad_fn.name() == "ReluBackward0"
    finite = x.detach().isfinite()
    return finite & (x.detach() != 0) if kept else finite


# --- words --------------------------------------------------------------------------------------


def _differentiated(x: Any) -> bool:
    return isinstance(x, Tensor) and x.requires_grad and not x.is_complex()


def _outputs(op: WatchedOp, place: int = 0) -> Callable[[Tensor], Tensor]:
    """All real outputs of an operation, [outputs], as a function of one of its operands, wherever
    that is used, in any dtype: the others are cast to it, if that is another than its own.
    """
    own = op.operands[place]
    # A parameter of the catalogue's functions may be an operand as well.
    settings = {} if op.name in CATALOGUE else op.settings

    def function(x: Tensor) -> Tensor:
        def replaced(v: Any) -> Any:
            if v is own:
                return x
            cast = isinstance(v, Tensor) and v.is_floating_point() and x.dtype != own.dtype
            return v.to(x.dtype) if cast else v

        operands = op.operands
        keywords = {n: replaced(v) for n, v in settings.items() if isinstance(v, Tensor)}
        if op.name == "cdist" and x.dtype == torch.float64:  # not by a matrix product, which rounds
            operands, keywords["compute_mode"] = operands[:3], "donot_use_mm_for_euclid_dist"
        value = op.again(*map(replaced, operands), **keywords)
        values = value if isinstance(value, tuple) else (value,)
        return torch.cat([each.reshape(-1) for each in values if each.is_floating_point()])

    return function


def _place(op: WatchedOp, at: int, operand: int = 0) -> str:
    """The element `at` of an operand and its number: `x[1] = 100`."""
    x, label = op.operands[operand].detach(), UNNAMED if operand else op.label()
    if x.ndim and not (label.isidentifier() or label.endswith(" input")):
        label = f"({label})"
    return f"{element(label, at, x)} = {float(x.reshape(-1)[at]):.6g}"


_RULED: Sequence[tuple[Rule, str, Iterable[str]]] = (
    (_saturated, "saturated", REACH),
    (_saturated_rows, "saturated", ("softmax", "softmin")),
    (_dead, "dead-relu", ("relu",)),
    (_kink, "kink", [name for name, entry in ACTIVATIONS.items() if entry.kinks and entry.derivative]),
    (_loss_kink, "kink", [name for name, entry in LOSSES.items() if entry.kinks]),
    (_other_kink, "kink", OTHERS | NORMS),
    (_tie, "kink", ORDERING),
    (loss_notes.twice, "double-softmax", loss_notes.TWICE),
    (loss_notes.no_logarithms, "probabilities", ("nll", "kl_div")),
    (loss_notes.improbable, "probabilities",
     {name for name, entry in LOSSES.items() if entry.target == "probability"} | {*loss_notes.SUMMED}),
    (loss_notes.broadcasts, "broadcast",
     ["gaussian_nll_loss", *(name for name, entry in LOSSES.items() if entry.broadcasts)]),
)  # fmt: skip
"""Each rule, the code of its notes, and the functions that it examines."""

_CODES = {rule: code for rule, code, _ in _RULED}
_RULES: dict[str, list[Rule]] = {}
for _rule, _, _names in _RULED:
    for _name in _names:
        _RULES.setdefault(_name, []).append(_rule)


def at_kink(watched: Sequence[WatchedOp]) -> bool:
    """Whether any operation of a run is at a kink."""
    rules = [(op, rule) for op in watched for rule in _RULES.get(op.name, ())]
    return any(_CODES[rule] == "kink" and any(True for _ in rule(op, ())) for op, rule in rules)


def codes(name: str) -> list[str]:
    """The codes of the notes that a function may get."""
    return list(dict.fromkeys(_CODES[rule] for rule in _RULES.get(name, ())))
