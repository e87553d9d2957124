"""The table of `--expect`: expected and computed side by side, and the slip that explains a
miss.
"""

import torch

from gradcli.results import Expected, Result
from gradcli.show import numbers
from gradcli.show.table import Block, Cells, Column, Places, Table


def expect_tables(result: Result, digits: int) -> list[Table]:
    """The table of all expectations, a block for each."""
    expected = result.expect or {}
    if not expected:
        return []
    compared = any(found.met for found in expected.values())
    headings = ("value", "expected", "computed", *(("difference", "verdict") if compared else ()))
    blocks = [
        Block(found.expected.numel(), (*cells, *more) if compared else cells)
        for key, found in expected.items()
        for cells, more in [_cells(key, found)]
    ]
    off = [key for key, found in expected.items() if not found.ok]
    title = f"Not as expected: {', '.join(off)}" if off else "As expected"
    caption = "\n".join(
        line
        for key, found in expected.items()
        if (line := _said(key, found, alone=len(expected) == 1))
    )
    columns = tuple(map(Column, headings))
    return [Table(columns, tuple(blocks), title, caption, ends=int(compared), csv=False)]


def _cells(key: str, found: Expected) -> tuple[tuple[Cells, ...], tuple[Cells, ...]]:
    """The rows of one expectation, and what is known of them where both have the same shape."""
    expected, computed = found.expected.reshape(-1), found.computed.reshape(-1)
    truth = computed.dtype == torch.bool and bool(((expected == 0) | (expected == 1)).all())
    if truth:
        expected = expected.bool()
    if not found.met:
        rows = range(expected.numel())
        values = numbers.flat(computed)
        return (
            Places(found.expected.shape, key),
            expected,
            [values[i] if i < len(values) else None for i in rows],
        ), (
            "",
            "off",
        )
    return (Places(found.computed.shape, key), expected, computed), (
        "" if truth else computed.double() - expected, ["ok" if met else "off" for met in found.met],
    )  # fmt: skip


def _said(key: str, found: Expected, *, alone: bool) -> str:
    """What there is to say of a miss."""
    said = [f"{found.slip}: {found.advice}" if found.slip else found.advice] if found.advice else []
    if not found.met:
        shapes = (numbers.shape_text(each) for each in (found.expected, found.computed))
        said.append("expected shape {}, computed shape {}".format(*shapes))
    return ("" if alone else f"{key}: ") + "; ".join(said) if said else ""
