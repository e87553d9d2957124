"""The table of `--expect`: expected and computed values, and the slip that explains a miss."""

import torch

from gradcli.results import Expected, Result
from gradcli.show import numbers
from gradcli.show.table import Block, Cells, Column, Places, Table


def expect_tables(result: Result, digits: int) -> list[Table]:
    """The table of all expectations, a block for each."""
    expected = result.expect or {}
    if not expected:
        return []
    compared = any(item.met for item in expected.values())
    headings = ("value", "expected", "computed", "difference", "verdict")[: 5 if compared else 3]
    blocks = [
        Block(item.expected.numel(), _cells(key, item)[: len(headings)])
        for key, item in expected.items()
    ]
    off = [key for key, item in expected.items() if not item.ok]
    title = f"Not as expected: {', '.join(off)}" if off else "As expected"
    alone = len(expected) == 1
    remarks = (_remark(key, item, alone=alone) for key, item in expected.items())
    caption = "\n".join(remark for remark in remarks if remark)
    columns = tuple(map(Column, headings))
    return [Table(columns, tuple(blocks), title, caption, ends=int(compared), csv=False)]


def _cells(key: str, item: Expected) -> tuple[Cells, ...]:
    """The cells of one expectation, the last two only meaningful if the shapes are the same."""
    expected, computed = item.expected.reshape(-1), item.computed.reshape(-1)
    truth = computed.dtype == torch.bool and bool(((expected == 0) | (expected == 1)).all())
    if truth:
        expected = expected.bool()
    if not item.met:
        same = len(expected) == len(computed)
        values = numbers.flat(computed) if same else [None] * len(expected)
        return Places(item.expected.shape, key), expected, values, "", "off"
    difference = "" if truth else computed.double() - expected
    verdicts = ["ok" if met else "off" for met in item.met]
    return Places(item.computed.shape, key), expected, computed, difference, verdicts


def _remark(key: str, item: Expected, *, alone: bool) -> str:
    """The remark on a miss; empty without one."""
    parts = [f"{item.slip}: {item.advice}" if item.slip else item.advice] if item.advice else []
    if not item.met:
        shapes = (numbers.shape_text(tensor) for tensor in (item.expected, item.computed))
        parts.append("expected shape {}, computed shape {}".format(*shapes))
    return ("" if alone else f"{key}: ") + "; ".join(parts) if parts else ""
