"""What is remembered of an optimizer: what it was given, and what came of its steps; and of a leaf
that takes the place of its parameters in a graph.
"""

import weakref
from dataclasses import dataclass, field

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


@dataclass(frozen=True, slots=True)
class Restart:
    """A leaf that was made of a value which had a graph, so that backward ends there."""

    entry: str
    place: Place | None
    how: str
    """How the value lost its graph, in words."""
    made: Place | None
    """Where the leaf was made, if that is another line."""
    leaves: frozenset[int] | None
    """The ids of the leaves that the value depended on; None if that is not known."""
