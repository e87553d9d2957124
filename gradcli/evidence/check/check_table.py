"""The table of `--check`: every slope, its errors and verdict, and what the verdicts mean."""

import math
from collections.abc import Iterable
from typing import Any

from torch import Tensor

from gradcli.results import Checked, Result
from gradcli.show import numbers
from gradcli.show.table import Block, Cell, Cells, Column, Table

MEANINGS = {
    "ok": "",
    "kink": "the slopes from the left and the right differ, and autograd is PyTorch's choice",
    "inner-kink": "an operation has a kink or makes a choice here, which autograd follows, though the whole function is smooth",
    "edge": "the function has values on one side only, and the slope is from that side",
    "jump": "the function jumps here, and PyTorch gives the slope next to the jump",
    "flat": "constant between jumps, like rounding: the slope is exactly 0",
    "infinite": "the slope or the value grows without bound here, so a difference cannot approximate it",
    "nan": "the function has no value here, so it has no slope",
    "rough": "the difference cannot tell: rounding, or change faster than its step, hides the slope",
    "none": "PyTorch has no derivative of this function, and the difference is its slope",
    "undefined": "the function jumps here, so it has no derivative at this point, and PyTorch has none for it",
    "padding": "PyTorch passes no gradient to the row of padding_idx: with that row held fixed, both agree",
    "detached": "detach stops the gradient on purpose: with the detached values held fixed, both agree",
    "random": "random draws pass no gradient to their parameters: with those held fixed, both agree",
    "between-jumps": "rounding jumps more often than the step allows: with the rounded values held fixed, both agree",
    "symmetric": "PyTorch assumes a symmetric matrix and splits the slope between an element and its mirror image",
    "straight-through": "PyTorch passes the gradient as if nothing were rounded, on purpose",
    "assumes-log-softmax": "PyTorch's gradient of ctc_loss is right only for the output of log_softmax",
    "pytorch": "the function is smooth, and autograd agrees next to this point but not at it: PyTorch's formula is wrong here",
    "wrong": "autograd disagrees with the others",
}
"""The meaning of every verdict."""

_COLUMNS = {
    "closed form": "closed", "difference": "difference", "from the left": "left", "from the right": "right",
    "error": "absolute", "relative": "relative",
}  # fmt: skip
"""The headings of the columns that may be left out, and the fields that they show."""

MARKED = 20
"""Rows with another verdict than ok that are always shown, at most."""


def check_tables(result: Result, digits: int) -> list[Table]:
    """The table of all inputs that were checked, a block for each."""
    checked = result.check or {}
    if not checked:
        return []
    items = checked.values()
    places = [place for item in items for place in item.places]
    named = len(set(places)) < len(places)  # several functions at the same places
    columns: dict[str, Iterable[Cells]] = {"function": checked} if named else {}
    columns |= {"slope": [item.places for item in items], "autograd": map(_autograd, items)}
    for heading, field in _COLUMNS.items():
        values: list[Tensor | None] = [getattr(item, field) for item in items]
        known = any(value is not None and not bool(value.isnan().all()) for value in values)
        if known or heading == "difference":
            shown = _roughly if heading in ("error", "relative") else _known
            columns[heading] = ["" if value is None else shown(value) for value in values]
    columns["verdict"] = [item.verdicts for item in items]
    blocks = []
    for item, cells in zip(items, zip(*columns.values(), strict=True), strict=True):
        marked = [i for i, verdict in enumerate(item.verdicts) if verdict != "ok"][:MARKED]
        blocks.append(Block(len(item.places), cells, kept=tuple(marked)))
    wrong = [name for name, item in checked.items() if not item.ok]
    title = f"Check: fails for {', '.join(wrong)}" if wrong else "Check: passes"
    headings = tuple(Column(heading, code=heading == "slope") for heading in columns)
    return [Table(
        headings, tuple(blocks), title, _caption(result),
        keys=1 + named, ends=1, csv=False, rows=result.rows_shown,
    )]  # fmt: skip


def _caption(result: Result) -> str:
    """How the slopes were checked, remarks with the inputs they are about, and the verdicts."""
    checked = result.check or {}
    parts = [result.when] if result.when else []
    for remark in dict.fromkeys(remark for item in checked.values() for remark in item.remarks):
        names = [name for name, item in checked.items() if remark in item.remarks]
        parts.append(remark if len(names) == len(checked) else f"{', '.join(names)}: {remark}")
    verdicts = {verdict for item in checked.values() for verdict in item.verdicts}
    meanings = {verdict: text for verdict, text in MEANINGS.items() if text and verdict in verdicts}
    if any(subject.kind in ("hessian", "hvp") for subject in result.subjects):
        meanings = {v: text.replace("the function", "the gradient") for v, text in meanings.items()}
    return "; ".join([*parts, *(f"{verdict}: {text}" for verdict, text in meanings.items())])


def _autograd(checked: Checked) -> list[Any]:
    """Autograd's slopes; nothing where it has none."""
    slopes = zip(checked.slopes.tolist(), checked.verdicts, strict=True)
    return [None if verdict in ("none", "undefined") else slope for slope, verdict in slopes]


def _known(values: Tensor) -> list[Any]:
    """The numbers; nothing for NaN."""
    return [None if math.isnan(number) else number for number in values.tolist()]


def _roughly(values: Tensor) -> list[Cell]:
    """Errors to two digits: only their size matters."""
    return [None if number is None else numbers.significant(number, 2) for number in _known(values)]
