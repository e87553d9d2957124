"""`functions`: the catalogue to read, whole or one entry of it."""

from dataclasses import dataclass
from typing import Any

from gradcli.catalogue.functions import ACTIVATIONS, LOSSES, TARGETS, Activation, Loss
from gradcli.language.calls import Call
from gradcli.options.fields import FUNCTION, argument
from gradcli.options.shared import Question


@dataclass(frozen=True, kw_only=True)
class Functions(Question):
    """Formula, derivative, range, kinks and PyTorch's name of every activation and loss; for one,
    its slopes at kinks.
    """

    name: Call | None = argument(
        FUNCTION, "an activation or a loss, such as gelu or 'elu(alpha=2)'; none: all", None
    )


def families() -> dict[str, list[Activation | Loss]]:
    """The entries of the catalogue by family, in the order of the page."""
    return {"activations": list(ACTIVATIONS.values()), "losses": list(LOSSES.values())}


def facts(entry: Activation | Loss) -> dict[str, Any]:
    """The keys of an entry's JSON that need no PyTorch.

    `range` is None for a loss, and `target`, the kind of its target, for an activation.
    """
    return {
        "name": entry.name,
        "family": "loss" if isinstance(entry, Loss) else "activation",
        "torch": entry.torch,
        "aliases": list(entry.aliases),
        "formula": entry.formula,
        "derivative": entry.derivative,
        "range": entry.range if isinstance(entry, Activation) else None,
        "target": TARGETS[entry.target] if isinstance(entry, Loss) else None,
        "parameters": [
            {"name": each.name, "default": each.default, "choices": list(each.choices)}
            for each in entry.parameters
        ],
    }
