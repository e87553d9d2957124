"""What is remembered of an optimizer: what it was given, and what came of its steps; and of the
grad of a leaf.
"""

import weakref
from dataclasses import dataclass, field
from typing import TypeAlias

from torch import Tensor
from torch.optim import Optimizer

from gradcli.watch.finding import Place
from gradcli.watch.record import Cut


@dataclass(slots=True, eq=False)
class Given:
    """An optimizer: where it was made, its parameters, and what came of its steps."""

    ref: weakref.ref[Optimizer]
    place: Place | None
    shapes: dict[int, tuple[int, ...]] = field(default_factory=dict)
    """Its parameters, by id, and their shapes."""
    steps: int = 0
    empty: int = 0
    """Its steps without any gradient."""
    still: int = 0
    """Its steps at a learning rate of 0."""
    first: Place | None = None
    """Where it was first stepped, if there was no backward pass before."""
    zeroed: int = 0
    """Its steps just after zero_grad, and those before the first backward pass."""
    zeroed_at: Place | None = None
    """The zero_grad before the last of these; the step itself where that is `first`."""
    step: Place | None = None
    """Where it was last stepped, if a scheduler changed its learning rate."""
    fresh: int = 0
    """How many backward passes there had been at its last step with a gradient not used before."""
    idle: int = 0
    """Its steps since then, while there were more backward passes."""
    cleared: int = 0
    """How often its zero_grad was called."""
    wrote: bool = False
    """Whether a step changed anything."""
    tick: int = 0
    """When it was last stepped."""
    wasted: int = 0
    """Its steps without any gradient after a graph was recorded of its parameters."""
    cut: Cut | None = None
    """The last place before a step without any gradient that cut what its parameters made."""
    trained: set[int] = field(default_factory=set)
    """Its parameters that required a gradient at its second step."""

    @property
    def unused(self) -> bool:
        """Whether no step found a gradient or changed anything."""
        return self.steps == self.empty and not self.wrote


class _Same(weakref.ref[Tensor]):
    """A weak reference that equals another one if both refer to one tensor that is alive. An id is
    not enough: zero_grad frees a grad, and the next one may get the same id.
    """

    __slots__ = ()
    __hash__ = weakref.ref.__hash__

    def __eq__(self, other: object) -> bool:
        tensor = self()
        return tensor is not None and isinstance(other, _Same) and other() is tensor


State: TypeAlias = tuple[_Same, int]


def state_of(tensor: Tensor) -> State | None:
    """The grad of a leaf, and its version; None without one."""
    grad = tensor.grad
    return None if grad is None else (_Same(grad), grad._version)
