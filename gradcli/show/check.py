"""The table of `--check`: autograd, closed form and difference of every slope, errors and verdicts, and what these mean."""

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from gradcli.results import Checked, DescendResult, FlowResult, GradEachResult, PlotResult, Result, SurfaceResult
from gradcli.show.steps import LAYERS
from gradcli.show.table import Block, Cell, Cells, Column, Table

MEANINGS = {
    "ok": "",
    "kink": "the slopes from the left and the right differ, and autograd is PyTorch's choice",
    "edge": "the function has values on one side alone, and the slope is that from there",
    "jump": "the function jumps here, and PyTorch differentiates what lies beside the jump",
    "flat": "constant between jumps, as rounding is: the slope is exactly 0",
    "infinite": "the slope or the value grows without bound here, and no difference can follow it",
    "nan": "the function has no value here, and so no slope",
    "rough": "rounding, or faster change than a step can follow, hides the slope from the difference: it cannot tell",
    "none": "PyTorch has no derivative of this function, and the difference is its slope",
    "undefined": "the function jumps here and has no derivative at this point, and PyTorch has none of it",
    "detached": "detach stops the gradient on purpose: with what is detached held fixed both agree",
    "random": "drawing numbers passes no gradient to what they were drawn from: with that held fixed both agree",
    "between-jumps": "rounding jumps too often for a step: with what is rounded held fixed both agree",
    "symmetric": "PyTorch takes the matrix as symmetric and splits the slope between an element and its mirror image",
    "straight-through": "PyTorch lets the gradient pass as if nothing were rounded, on purpose",
    "assumes-log-softmax": "PyTorch's gradient of ctc_loss is right for what log_softmax made",
    "pytorch": "PyTorch's formula is wrong at this very point: the function is smooth, and autograd agrees right beside it",
    "wrong": "autograd disagrees with the others",
}
"""Every verdict and what it says."""

ROWS: Mapping[type[Result], int] = {GradEachResult: 60, PlotResult: 11, SurfaceResult: 11, FlowResult: LAYERS}
"""Rows that are shown on the screen of what has a row per point; of all others all are."""
MARKED = 20
"""Rows with another verdict than ok that are shown anyway."""


def check_tables(result: Result, digits: int) -> list[Table]:
    """One table for each input that was checked."""
    rows = ROWS.get(type(result), 0)
    where = ["at the start"] if isinstance(result, DescendResult) else []
    return [_table(name, checked, rows, where) for name, checked in (result.check or {}).items()]


def _table(name: str, checked: Checked, rows: int, where: list[str]) -> Table:
    columns = [Column("slope by"), Column("autograd")]
    underived = [verdict in ("none", "undefined") for verdict in checked.verdicts]
    slopes: list[Cell] = checked.slopes.tolist()
    cells: list[Cells] = [checked.places, [None if no else slope for no, slope in zip(underived, slopes, strict=True)]]
    more: list[tuple[str, Tensor | None]] = [
        ("closed form", checked.closed),
        ("difference", checked.difference),
        ("from the left", checked.left),
        ("from the right", checked.right),
        ("error", checked.absolute),
        ("relative", checked.relative),
    ]
    for heading, values in more:
        if values is not None and (heading == "difference" or not bool(values.isnan().all())):
            columns.append(Column(heading))
            cells.append(_known(values))
    columns.append(Column("verdict"))
    cells.append(checked.verdicts)
    verdict = "holds" if checked.ok else "does not hold"
    said = [f"{each}: {MEANINGS[each]}" for each in MEANINGS if MEANINGS[each] and each in checked.verdicts]
    caption = "; ".join([*where, *checked.remarks, *said])
    block = Block(len(checked.places), tuple(cells))
    kept = tuple(i for i, verdict in enumerate(checked.verdicts) if verdict != "ok")[:MARKED]
    return Table(tuple(columns), (block,), f"Check by {name}: {verdict}", caption, csv=False, rows=rows, kept=kept)


def _known(values: Tensor) -> list[Cell]:
    """The numbers, and nothing where there is none."""
    numbers: list[Any] = values.tolist()
    return [None if math.isnan(number) else number for number in numbers]
