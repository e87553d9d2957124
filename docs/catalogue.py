"""Writes docs/catalogue.md: every activation and loss, from what `gradcli functions --json`
prints.
"""

import json
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from docs import curves
from docs.curves import Run

PAGE = Path(__file__).parent / "catalogue.md"

HEAD = """\
# Catalogue

Every activation and loss that gradcli has by name. This page is made from the output of [functions](commands/functions.md). A
solid line is the value, a dashed one the derivative with respect to `x`, for a loss with respect to `pred`; a dot is the slope
that PyTorch picks between two others. A loss has the target 0; [plot](commands/plot.md) says which target it has if that is a
probability, a count, a sign or a class. A function of a whole row is shown for two logits, of which the first moves and the
second is 0.
[activate](commands/activate.md) and [loss](commands/loss.md) compute them, expressions may call each by its name, and
[derive](commands/derive.md) differentiates with these formulas.
"""


def names(run: Run) -> list[str]:
    """Every function of the catalogue, in its order."""
    return [entry["name"] for entry in json.loads(run("functions", "--json"))["functions"]]


def page(run: Run) -> str:
    """The page as the program has it now."""
    found = [json.loads(run("functions", name, "--json"))["functions"][0] for name in names(run)]
    parts = [HEAD]
    for family, title in (("activation", "Activations"), ("loss", "Losses")):
        members = [entry for entry in found if entry["family"] == family]
        index = textwrap.fill(
            ", ".join(f"[{entry['name']}](#{entry['name']})" for entry in members), 128
        )
        parts += [f"## {title}\n\n{index}\n", *("\n".join(_entry(entry)) for entry in members)]
    return "\n".join(parts)


def _entry(entry: Mapping[str, Any]) -> Iterator[str]:
    name = entry["name"]
    yield f"### {name}\n"
    yield f"![{name} and its derivative](images/curves/{name}.svg)\n"
    yield f"- PyTorch: `{entry['torch']}`"
    if entry["aliases"]:
        yield f"- also called: {', '.join(f'`{alias}`' for alias in entry['aliases'])}"
    yield f"- formula: `{entry['formula']}`"
    yield (
        f"- derivative: `{entry['derivative']}`"
        if entry["derivative"]
        else "- derivative: PyTorch has none"
    )
    if entry["range"]:
        yield f"- range: `{entry['range']}`"
    if entry["target"]:
        yield f"- target: {entry['target']}"
    if entry["parameters"]:
        yield f"- parameters: {', '.join(map(_parameter, entry['parameters']))}"
    for kink in entry["kinks"]:
        yield _kink(kink)
    yield f"- the curve: `{curves.command(name)}`\n"


def _parameter(parameter: Mapping[str, Any]) -> str:
    choices = parameter["choices"]
    among = f" ({', '.join(f'`{choice}`' for choice in choices)})" if choices else ""
    return f"`{parameter['name']}={parameter['default']}`{among}"


def _kink(kink: Mapping[str, Any]) -> str:
    place = kink["place"]
    if kink["left"] is None:
        return f"- kink at `{place}`"
    left, picked, right = (f"{kink[key]:.6g}" for key in ("left", "pytorch", "right"))
    return f"- kink at `{place}`: slope {left} to the left, {right} to the right; PyTorch picks {picked}"
