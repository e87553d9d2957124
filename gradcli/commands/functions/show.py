"""The page of one function: its facts, its curve, and the slopes that PyTorch uses at its kinks."""

from dataclasses import replace
from typing import Any

from gradcli.commands.functions.result import FunctionsResult
from gradcli.show import terminal
from gradcli.show.pictures.panels import curves
from gradcli.show.pictures.plotter import Window
from gradcli.show.pieces import table_of
from gradcli.show.table import Column, Table

_WIDEST = 100
_SMALL = (64, 16)
"""Columns and rows of the curve."""
_FRAME = 20
"""Columns of the frame and of the headings."""

ROWS = ("torch", "aliases", "formula", "derivative", "range", "target", "parameters", "notes")
"""The facts on the page, by their keys in the JSON."""
_HEADINGS = {"torch": "PyTorch", "aliases": "also called"}
"""The headings that differ from the key."""


def page(result: FunctionsResult, style: terminal.Style, window: Window) -> str:
    """The page as text: a table of facts, the curve, and a table of the kinks."""
    (facts,) = result.functions
    width = max(20, min(style.width or _WIDEST, _WIDEST) - _FRAME)
    text = terminal.render([_facts(facts, width)], style)
    if result.x is not None and result.curve is not None:
        width, height = min(window.width, _SMALL[0]), min(window.height, _SMALL[1])
        small = replace(window, width=width, height=height)
        text += "\n" + curves(result.x, [result.curve], result.along, small)
    if facts["kinks"]:
        text += "\n" + terminal.render([_kinks(facts["kinks"])], style)
    return text


def document(result: FunctionsResult, digits: int) -> list[Table]:
    """The facts and the kinks; the curve is a picture of the terminal alone."""
    (facts,) = result.functions
    return [_facts(facts), *([_kinks(facts["kinks"])] if facts["kinks"] else [])]


def _text(key: str, value: Any) -> str:
    if key == "derivative" and value is None:
        return "none in PyTorch; it is 0 away from the kink"
    if key == "parameters":
        return ", ".join(_parameter(each) for each in value)
    if key == "notes":
        return ", ".join(value) + " (gradcli why NAME)" if value else ""
    return ", ".join(value) if isinstance(value, list) else value or ""


def _parameter(parameter: dict[str, Any]) -> str:
    others = [str(each) for each in parameter["choices"] or () if each != parameter["default"]]
    text = f"{parameter['name']}={parameter['default']}"
    return f"{text} (or {', '.join(others)})" if others else text


def _facts(facts: dict[str, Any], width: int | None = None) -> Table:
    """A row for each fact, of several lines if it is wider than `width`."""
    rows = []
    for key in ROWS:
        heading, text = _HEADINGS.get(key, key), _text(key, facts[key])
        lines = terminal.prose(text, width or len(text) or 1)
        rows += [("" if i else heading, line) for i, line in enumerate(lines)]
    headings, texts = zip(*rows, strict=True)
    name = facts["name"]
    family = "an activation" if facts["family"] == "activation" else "a loss"
    return table_of(
        len(rows), [("what", headings), (Column(name, code=True), texts)], f"{name}, {family}"
    )


def _kinks(kinks: list[dict[str, Any]]) -> Table:
    headings = {
        "at": "kink at",
        "left": "slope to the left",
        "pytorch": "PyTorch picks",
        "right": "slope to the right",
    }
    columns = [(heading, [kink[key] for kink in kinks]) for key, heading in headings.items()]
    pred, target = kinks[0]["pred"], kinks[0]["target"]
    sample = "" if target is None else f"one element of pred varies; target {target}"
    caption = f"{sample}, pred {pred} at the kink" if isinstance(pred, list) else sample
    return table_of(len(kinks), columns, caption=caption)
