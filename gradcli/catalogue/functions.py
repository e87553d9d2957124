"""The catalogue: every activation and loss of gradcli, by its name or one of its aliases."""

from collections.abc import Mapping
from types import MappingProxyType

from gradcli.catalogue import activations, losses
from gradcli.catalogue.entries import Activation, Loss, Parameter, Target, Value
from gradcli.catalogue.losses import TARGETS

__all__ = [
    "ACTIVATIONS", "CATALOGUE", "LOSSES", "TARGETS", "Activation", "Loss", "Parameter", "Target", "Value",
]  # fmt: skip

ACTIVATIONS = MappingProxyType({entry.name: entry for entry in activations.ACTIVATIONS})
"""The activations by their canonical names, in the order in which they are shown."""

LOSSES = MappingProxyType({entry.name: entry for entry in losses.LOSSES})
"""The losses by their canonical names, in the order in which they are shown."""


def _aliases(entries: Mapping[str, Activation | Loss]) -> dict[str, Activation | Loss]:
    return {alias: entry for entry in entries.values() for alias in entry.aliases}


CATALOGUE: Mapping[str, Activation | Loss] = MappingProxyType(
    {**ACTIVATIONS, **_aliases(ACTIVATIONS), **LOSSES, **_aliases(LOSSES)}
)
"""Every entry under each of its names, aliases included."""
