"""The catalogue: every activation and loss that gradcli knows, found by its name or by one of its aliases."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import TypeVar

from gradcli.catalogue import activations, losses
from gradcli.catalogue.activations import ALONG_LAST_DIM
from gradcli.catalogue.entries import Activation, Loss, Parameter, Target, Value
from gradcli.catalogue.losses import BY_ROW, FIXED_REDUCTION, TARGETS

__all__ = [
    "ACTIVATIONS",
    "ALONG_LAST_DIM",
    "BY_ROW",
    "CATALOGUE",
    "FIXED_REDUCTION",
    "LOSSES",
    "TARGETS",
    "Activation",
    "Loss",
    "Parameter",
    "Target",
    "Value",
    "find_activation",
    "find_loss",
]

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

_ACTIVATIONS = _by_any_name(ACTIVATIONS)
_LOSSES = _by_any_name(LOSSES)

CATALOGUE: Mapping[str, Activation | Loss] = MappingProxyType({**_ACTIVATIONS, **_LOSSES})
"""Every entry under each of its names, aliases included."""


def find_activation(name: str) -> Activation | None:
    """The activation of that name or alias, or None."""
    return _ACTIVATIONS.get(name)


def find_loss(name: str) -> Loss | None:
    """The loss of that name or alias, or None."""
    return _LOSSES.get(name)
