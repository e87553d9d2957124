"""The modules of a program that are alive, the names of their parameters, and what they hold that
parameters() does not see.
"""

import gc
import weakref
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, field

from torch import Tensor, nn


@dataclass(frozen=True)
class Hidden:
    """An attribute of a class of modules that holds what parameters() does not see."""

    owner: type
    attribute: str
    what: str
    """`list of modules`, `dict of tensors`, `tensor` ..."""
    ref: weakref.ref[Tensor] | None = field(default=None, compare=False)
    """The tensor, if it belongs to no module."""


class Modules:
    """The modules that are alive, and the names of their parameters."""

    def __init__(self) -> None:
        self.names: dict[int, str] = {}
        self.parameters: dict[int, weakref.ref[Tensor]] = {}
        """By their ids, which other tensors may have once these are gone."""
        self.evaluated: set[int] = set()
        """Parameters of modules in evaluation mode."""
        self._lists: list[set[int]] = []
        """The parameters below each ModuleList and ModuleDict."""
        self.tensors: dict[int, Hidden] = {}
        """Leaves that are attributes of modules in training mode, or in a list or dict there, and
        that parameters() does not see.
        """
        self._hidden: dict[int, Hidden] = {}
        for module in [each for each in gc.get_objects() if issubclass(type(each), nn.Module)]:
            self._see(module)

    def spared(self, reached: Set[int]) -> set[int]:
        """Parameters that may go unused: of modules in a list or a dictionary of which others were
        reached.
        """
        return {key for keys in self._lists if keys & reached for key in keys}

    def _see(self, module: nn.Module) -> None:
        if not hasattr(module, "_parameters") or not hasattr(module, "_modules"):
            return  # __init__ was not called
        is_list = isinstance(module, nn.ModuleList | nn.ModuleDict)
        if is_list:
            self._lists.append({id(parameter) for parameter in module.parameters()})
        for name, parameter in module.named_parameters():
            key = id(parameter)
            self.parameters[key] = weakref.ref(parameter)
            if len(name) > len(self.names.get(key, "")):
                self.names[key] = name
            if not is_list and not module.training:
                self.evaluated.add(key)
        for attribute, value in vars(module).items():
            if isinstance(value, Tensor):
                self._hide(module, attribute, "tensor", attribute, value)
            elif not attribute.startswith("_") and isinstance(value, (list, tuple, dict)):
                items = value.items() if isinstance(value, dict) else enumerate(value)
                for at, item in list(items)[:1_000]:
                    name, kind = f"{attribute}.{at}", type(value).__name__
                    if isinstance(item, Tensor):
                        self._hide(module, attribute, f"{kind} of tensors", name, item)
                    elif isinstance(item, nn.Module):
                        for part, parameter in item.named_parameters():
                            hidden = Hidden(type(module), attribute, f"{kind} of modules")
                            self._hidden[id(parameter)] = hidden
                            self.names[id(parameter)] = f"{name}.{part}"

    def _hide(
        self, module: nn.Module, attribute: str, what: str, name: str, tensor: Tensor
    ) -> None:
        key = id(tensor)
        if (
            module.training
            and tensor.requires_grad
            and tensor.is_leaf
            and key not in self.parameters
        ):
            hidden = Hidden(type(module), attribute, what, weakref.ref(tensor))
            self.tensors[key] = self._hidden[key] = hidden
            self.names[key] = name

    def hidden_by(self, keys: Sequence[int]) -> Iterable[Hidden]:
        """What hides some of these parameters."""
        return dict.fromkeys(self._hidden[key] for key in keys if key in self._hidden)
