"""The catalogue: every activation and loss of gradcli, by its name or one of its aliases."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import TypeVar

from gradcli.catalogue import activations, losses
from gradcli.catalogue.entries import Activation, Loss, Parameter, Target, Value
from gradcli.catalogue.losses import TARGETS

__all__ = [
    "ACTIVATIONS", "CATALOGUE", "LOSSES", "TARGETS", "Activation", "Loss", "Parameter", "Target", "Value",
]  # fmt: skip

_Entry = TypeVar("_Entry", Activation, Loss)


def _by_name(entries: Iterable[_Entry]) -> Mapping[str, _Entry]:
    return MappingProxyType({entry.name: entry for entry in entries})


def _by_any_name(entries: Mapping[str, _Entry]) -> Mapping[str, _Entry]:
    aliases = {alias: entry for entry in entries.values() for alias in entry.aliases}
    return MappingProxyType({**entries, **aliases})


ACTIVATIONS = _by_name(activations.ACTIVATIONS)
"""The activations by their canonical names, in the order in which they are shown."""

LOSSES = _by_name(losses.LOSSES)
"""The losses by their canonical names, in the order in which they are shown."""

CATALOGUE: Mapping[str, Activation | Loss] = MappingProxyType(
    {**_by_any_name(ACTIVATIONS), **_by_any_name(LOSSES)}
)
"""Every entry under each of its names, aliases included."""
