"""The page of one function: what the catalogue says of it, and the slopes that PyTorch picks at its kinks."""

import textwrap
from dataclasses import replace
from typing import Any

from gradcli.results import FunctionsResult
from gradcli.show import plot, terminal
from gradcli.show.plotter import Window
from gradcli.show.table import Block, Cell, Column, Table

_WIDEST = 100
_SMALL = (64, 16)
"""Columns and rows of the curve."""
_INDENT = 14
"""Columns before what is said of each thing."""

ROWS = (
    ("PyTorch", "torch"), ("also called", "aliases"), ("formula", "formula"), ("derivative", "derivative"), ("range", "range"),
    ("target", "target"), ("parameters", "parameters"), ("notes", "notes"),
)  # fmt: skip
"""What the page says, and under which key of the JSON it stands."""


def render(result: FunctionsResult, style: terminal.Style, window: Window) -> str:
    """The page as text: facts line by line, the curve where there is one, then a table of the kinks."""
    (facts,) = result.functions
    lines = [f"{facts['name']}, {'an activation' if facts['family'] == 'activation' else 'a loss'}", ""]
    for heading, key in ROWS:
        if said := _said(key, facts[key]):
            lines += _wrapped(heading, said, style)
    text = "\n".join(lines) + "\n"
    if result.x is not None and result.curve is not None:
        small = replace(window, width=min(window.width, _SMALL[0]), height=min(window.height, _SMALL[1]))
        text += "\n" + plot.curves(result.x, [result.curve], result.along, small)
    return text + "\n" + terminal.render([_kinks(facts["kinks"])], style) if facts["kinks"] else text


def _said(key: str, value: Any) -> str:
    if key == "derivative" and value is None:
        return "none: PyTorch does not differentiate it, and it is 0 off the kink"
    if key == "parameters":
        return ", ".join(_parameter(each) for each in value)
    if key == "notes":
        return ", ".join(value) + " (gradcli why NAME)" if value else ""
    return ", ".join(value) if isinstance(value, list) else value or ""


def _parameter(parameter: dict[str, Any]) -> str:
    choices = f" ({', '.join(map(str, parameter['choices']))})" if parameter["choices"] else ""
    return f"{parameter['name']}={parameter['default']}{choices}"


def _wrapped(heading: str, text: str, style: terminal.Style) -> list[str]:
    width = max(40, min(style.width or _WIDEST, _WIDEST))
    return textwrap.wrap(
        text, width, initial_indent=heading.ljust(_INDENT), subsequent_indent=" " * _INDENT,
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip


def _kinks(kinks: list[dict[str, Any]]) -> Table:
    columns: list[list[Cell]] = [[kink[key] for kink in kinks] for key in ("at", "left", "pytorch", "right")]
    heads = (Column("kink at"), Column("slope to the left"), Column("PyTorch picks"), Column("slope to the right"))
    return Table(heads, (Block(len(kinks), tuple(columns)),))
