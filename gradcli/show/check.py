"""The table of `--check`: autograd, closed form and difference of every slope, errors and verdicts, and what these mean."""

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from gradcli.results import Checked, DescendResult, FlowResult, GradEachResult, PlotResult, Result, SurfaceResult
from gradcli.show import numbers
from gradcli.show.steps import ROWS as LAYERS
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
    """The table of all inputs that were checked, a block for each."""
    checked = result.check or {}
    if not checked:
        return []
    places = [place for each in checked.values() for place in each.places]
    named = len(set(places)) < len(places)  # several functions at the same places
    columns = [*([Column("function")] if named else []), Column("slope by"), Column("autograd")]
    cells: list[list[Cells]] = [
        [*([name] if named else []), each.places, _autograd(each)] for name, each in checked.items()
    ]
    for heading, field, shown in (
        ("closed form", "closed", _known),
        ("difference", "difference", _known),
        ("from the left", "left", _known),
        ("from the right", "right", _known),
        ("error", "absolute", _roughly),
        ("relative", "relative", _roughly),
    ):
        values: list[Tensor | None] = [getattr(each, field) for each in checked.values()]
        if heading == "difference" or not all(value is None or bool(value.isnan().all()) for value in values):
            columns.append(Column(heading))
            for block, value in zip(cells, values, strict=True):
                block.append("" if value is None else shown(value))
    columns.append(Column("verdict"))
    blocks = []
    for block, each in zip(cells, checked.values(), strict=True):
        marked = [i for i, verdict in enumerate(each.verdicts) if verdict != "ok"][:MARKED]
        blocks.append(Block(len(each.places), (*block, each.verdicts), kept=tuple(marked)))
    wrong = [name for name, each in checked.items() if not each.ok]
    title = f"Check: does not hold by {', '.join(wrong)}" if wrong else "Check: holds"
    rows = ROWS.get(type(result), 0)
    return [Table(tuple(columns), tuple(blocks), title, _caption(result), keys=1 + named, ends=1, csv=False, rows=rows)]


def _caption(result: Result) -> str:
    """Where and how was checked, and what the verdicts mean; what is said of some inputs alone names them."""
    checked = result.check or {}
    said = ["at the start"] if isinstance(result, DescendResult) else []
    for remark in dict.fromkeys(remark for each in checked.values() for remark in each.remarks):
        of = [name for name, each in checked.items() if remark in each.remarks]
        said.append(remark if len(of) == len(checked) else f"{', '.join(of)}: {remark}")
    verdicts = {verdict for each in checked.values() for verdict in each.verdicts}
    return "; ".join(
        [*said, *(f"{each}: {MEANINGS[each]}" for each in MEANINGS if MEANINGS[each] and each in verdicts)]
    )


def _autograd(checked: Checked) -> list[Any]:
    """Autograd's slopes; nothing where it has none."""
    slopes = zip(checked.slopes.tolist(), checked.verdicts, strict=True)
    return [None if verdict in ("none", "undefined") else slope for slope, verdict in slopes]


def _known(values: Tensor) -> list[Any]:
    """The numbers, and nothing where there is none."""
    return [None if math.isnan(number) else number for number in values.tolist()]


def _roughly(values: Tensor) -> list[Cell]:
    """Errors to two digits: what counts is how large they are."""
    return [None if number is None else numbers.significant(number, 2) for number in _known(values)]
