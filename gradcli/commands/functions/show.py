"""The page of one function: what the catalogue says of it, and the slopes that PyTorch picks at its
kinks.
"""

import textwrap
from dataclasses import replace
from typing import Any

from gradcli.commands.functions.result import FunctionsResult
from gradcli.show import terminal
from gradcli.show.pictures.panels import curves
from gradcli.show.pictures.plotter import Window
from gradcli.show.table import Block, Cell, Column, Table

_WIDEST = 100
_SMALL = (64, 16)
"""Columns and rows of the curve."""
_FRAME = 20
"""Columns of the frame, and of what is said in front of each thing."""

ROWS = (
    ("PyTorch", "torch"), ("also called", "aliases"), ("formula", "formula"), ("derivative", "derivative"), ("range", "range"),
    ("target", "target"), ("parameters", "parameters"), ("notes", "notes"),
)  # fmt: skip
"""What the page says, and under which key of the JSON it stands."""


def page(result: FunctionsResult, style: terminal.Style, window: Window) -> str:
    """The page as text: a table of facts, the curve where there is one, then a table of the
    kinks.
    """
    (facts,) = result.functions
    text = terminal.render([_facts(facts, style)], style)
    if result.x is not None and result.curve is not None:
        small = replace(
            window, width=min(window.width, _SMALL[0]), height=min(window.height, _SMALL[1])
        )
        text += "\n" + curves(result.x, [result.curve], result.along, small)
    return (
        text + "\n" + terminal.render([_kinks(facts["kinks"])], style) if facts["kinks"] else text
    )


def _said(key: str, value: Any) -> str:
    if key == "derivative" and value is None:
        return "none in PyTorch; it is 0 away from the kink"
    if key == "parameters":
        return ", ".join(_parameter(each) for each in value)
    if key == "notes":
        return ", ".join(value) + " (gradcli why NAME)" if value else ""
    return ", ".join(value) if isinstance(value, list) else value or ""


def _parameter(parameter: dict[str, Any]) -> str:
    choices = f" ({', '.join(map(str, parameter['choices']))})" if parameter["choices"] else ""
    return f"{parameter['name']}={parameter['default']}{choices}"


def _facts(facts: dict[str, Any], style: terminal.Style) -> Table:
    width = max(20, min(style.width or _WIDEST, _WIDEST) - _FRAME)
    rows = []
    for heading, key in ROWS:
        said = textwrap.wrap(
            _said(key, facts[key]), width, break_long_words=False, break_on_hyphens=False
        )
        rows += [(heading if not number else "", line) for number, line in enumerate(said)]
    headings, texts = zip(*rows, strict=True)
    family = "an activation" if facts["family"] == "activation" else "a loss"
    return Table(
        (Column("what"), Column(facts["name"])),
        (Block(len(rows), (headings, texts)),),
        f"{facts['name']}, {family}",
    )


def _kinks(kinks: list[dict[str, Any]]) -> Table:
    columns: list[list[Cell]] = [
        [kink[key] for kink in kinks] for key in ("at", "left", "pytorch", "right")
    ]
    heads = (
        Column("kink at"),
        Column("slope to the left"),
        Column("PyTorch picks"),
        Column("slope to the right"),
    )
    pred, target = kinks[0]["pred"], kinks[0]["target"]
    sample = "" if target is None else f"one element of pred varies; target {target}"
    caption = f"{sample}, pred {pred} at the kink" if isinstance(pred, list) else sample
    return Table(heads, (Block(len(kinks), tuple(columns)),), caption=caption)
