"""What is remembered of a running program: how tensors were made, writes, backward passes, and the
numbers that left the graph. It is bounded, and keeps no tensor alive. Tensors have any shape.
"""

import weakref
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Set
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from gradcli.core import walk
from gradcli.watch.finding import Place

KEY = "gradcli"
"""Where the metadata of a node of the graph says how its tensor was made."""
_DEEPEST = 48
"""How many operations on tensors without a graph are remembered one after another."""
_WIDEST = 8
"""How many operands of one operation are remembered."""
_WRITES = 20_000
_EVENTS = 256


class Made:
    """How a tensor was made: by which function, where, from what.

    `cut` says where its graph was lost; None if it has one, or was never computed from a tensor
    that has. `parents` are the operands' records, of tensors without a graph only. `flag` is where
    requires_grad was set to `flagged` later. `owner` is the module whose parameter it is. `used` is
    when a leaf last entered a graph.
    """

    __slots__ = (
        "cut", "depth", "dtype", "flag", "flagged", "name", "number", "owner", "parents", "place", "shape", "tick",
        "used",
    )  # fmt: skip

    def __init__(self, name: str, place: Place | None, tick: int, tensor: Tensor) -> None:
        self.name = name
        self.place = place
        self.tick = tick
        self.shape = shape_of(tensor)
        self.dtype = tensor.dtype
        self.parents: tuple[Made, ...] = ()
        self.depth = 0
        self.cut: Cut | None = None
        self.number: float | None = None
        self.flag: Place | None = None
        self.flagged = False
        self.owner = ""
        self.used = 0

    def come_from(self, parents: list["Made"]) -> None:
        """Remember the operands' records, up to a depth: a loop would make an endless chain."""
        depth = max((parent.depth for parent in parents), default=-1) + 1
        if depth < _DEEPEST:
            self.parents, self.depth = tuple(parents[:_WIDEST]), depth

    def ancestors(self) -> Iterator["Made"]:
        """The record itself and those it comes from, the nearest first."""
        seen: set[int] = set()
        waiting = deque([self])
        while waiting:
            made = waiting.popleft()
            if id(made) not in seen:
                seen.add(id(made))
                yield made
                waiting.extend(made.parents)


@dataclass(slots=True, eq=False)
class Cut:
    """Where a value lost its graph: `kind` is the entry of the mistake that this may be."""

    kind: str
    name: str
    place: Place | None
    tick: int
    shape: tuple[int, ...]
    off: Place | None
    """Where recording was switched off, for an operation under no_grad."""
    leaves: set[int]
    """The ids of the leaves that the value depended on, when this place was first seen."""


@dataclass(slots=True)
class Write:
    """A write in place: the storage, and the version of the tensor before and after."""

    storage: int
    before: int
    after: int
    name: str
    place: Place | None
    tick: int
    stepped: bool = False
    """Whether an optimizer wrote it."""
    module: Place | None = None
    """Where the module of PyTorch that wrote it was made, with inplace=True."""


@dataclass(slots=True)
class Left:
    """A number or array that left the graph, by `item()` or `numpy()`."""

    name: str
    place: Place | None
    tick: int
    shape: tuple[int, ...]
    number: float | None
    cut: Cut | None

    @property
    def key(self) -> tuple[int, str]:
        """What tells one place, and one function there, from the others."""
        return id(self.place), self.name

    @property
    def function(self) -> str:
        """The name of the function, as it is called."""
        return "float" if self.name == "__float__" else self.name.strip("_")

    @property
    def kind(self) -> str:
        """The entry of the mistake that this may be: math.exp(x) calls float(x) itself."""
        if self.number is None:
            return "numpy-on-grad"
        implicit = self.name == "__float__" and self.place and "float(" not in self.place.text
        return "scalar-of-grad" if implicit else "item-breaks"


@dataclass(slots=True)
class Pass:
    """A backward pass that ended well."""

    place: Place | None
    tick: int
    fills: bool
    """Whether it fills grad, as backward does and torch.autograd.grad does not."""
    roots: list[int]
    """When each of its roots was made."""
    tensors: list[weakref.ref[Tensor]]
    """These roots."""


class _Ref(weakref.ref[Tensor]):
    """A weak reference to a tensor, with its record."""

    __slots__ = ("key", "made")
    key: int
    made: Made


class Record:
    """All that is remembered."""

    def __init__(self) -> None:
        self.tick = 0
        self.backward_passes = 0
        self.steps = 0
        self.writes: deque[Write] = deque(maxlen=_WRITES)
        self.left: deque[Left] = deque(maxlen=_EVENTS)
        self.passes: deque[Pass] = deque(maxlen=_EVENTS)
        self.cuts: dict[tuple[int, str], Cut] = {}
        """The last cut of each kind at each place."""
        self.used: set[tuple[int, str]] = set()
        """Those of which a value with a graph was computed, unlike a copy or a number to print."""
        self.exits: dict[tuple[int, str], tuple[Place, Cut]] = {}
        """Where numbers and arrays left, as `Left.key`, and where the first there lost its graph."""
        self._made: dict[int, _Ref] = {}

    @property
    def summary(self) -> str:
        """How much was watched, in words."""
        counts = (
            (self.tick, "call", "of PyTorch"),
            (self.backward_passes, "backward pass", ""),
            (self.steps, "step", "of an optimizer"),
        )
        parts = [
            f"{count:,} {what}{'' if count == 1 else 'es' if what[-1] == 's' else 's'} {rest}".strip()
            for count, what, rest in counts
        ]
        return f"watched: {', '.join(parts)}"

    def source(self, made: Made, leaves: Set[int]) -> Cut | None:
        """Where the graph was lost by the last number or array, computed from some of these leaves,
        that a tensor was made of.
        """
        for left in reversed(self.left):
            same = left.number is not None or left.shape == made.shape
            if left.tick < made.tick and left.number == made.number and same and left.place:
                _, cut = self.exits[left.key]
                if cut.leaves & leaves:
                    return cut
        return None

    def wrote(self, tensor: Tensor, before: int, name: str, place: Place | None) -> bool:
        """Remember a write in place, if `before` is no longer the tensor's version; return whether."""
        after = version_of(tensor)
        if after != before:
            storage = storage_of(tensor)
            self.writes.append(Write(storage, before, after, name, place, self.tick))
        return after != before

    def keep(self, tensor: Tensor, made: Made) -> None:
        """Remember how a tensor without a node of the graph was made."""
        ref = _Ref(tensor, self._dropped)
        ref.key = id(tensor)
        ref.made = made
        self._made[ref.key] = ref

    def _dropped(self, ref: Any) -> None:
        key: int = ref.key
        if self._made.get(key) is ref:
            self._made.pop(key)  # another tensor may have got this id meanwhile

    def origin(self, tensor: Tensor) -> Made | None:
        """How a tensor was made; None if that was not seen."""
        ref = self._made.get(id(tensor))
        if ref is not None and ref() is tensor:
            return ref.made
        node = node_of(tensor)
        return made_by(node) if node is not None else None


def node_of(tensor: Tensor) -> Any:
    """The node of the graph that made a tensor; None without one."""
    try:
        return tensor.grad_fn
    except RuntimeError:  # a view made under no_grad whose base was written to
        return None


def made_by(node: Any) -> Made | None:
    """The record of the tensor that a node made."""
    made: Made | None = node.metadata.get(KEY)
    return made


def made_under(roots: Iterable[Tensor], most: int = 2_000) -> Iterator[tuple[Any, Made]]:
    """The nodes of the graphs of some tensors, of any shape, whose tensors have a record, and that."""
    for node, _ in walk([node_of(root) for root in roots], most):
        if (made := made_by(node)) is not None:
            yield node, made


def places_below(roots: Iterable[Tensor], name: str, through: Collection[str]) -> set[Place]:
    """Where the nodes called `name` come from that nodes of the kinds `through` alone lead to from
    the graphs of some tensors, of any shape; 200 nodes are looked at.
    """
    places: set[Place] = set()
    waiting = [node_of(root) for root in roots]
    for _ in range(200):
        node = waiting.pop() if waiting else None
        if node is not None:
            made = made_by(node) if node.name() == name else None
            if made is not None and made.place is not None:
                places.add(made.place)
            if node.name() in through:
                waiting += [each for each, _ in node.next_functions]
    return places


def shape_of(tensor: Tensor) -> tuple[int, ...]:
    """The shape of a tensor; empty for a nested one, which has none."""
    try:
        return tuple(tensor.shape)
    except RuntimeError:
        return ()


def storage_of(tensor: Tensor) -> int:
    """The address of a tensor's memory, shared by its views; 0 if it has none of its own."""
    try:
        return tensor.untyped_storage().data_ptr()
    except (RuntimeError, NotImplementedError):
        return 0


def version_of(tensor: Tensor) -> int:
    """How often a tensor was written to in place; 0 if PyTorch does not count that."""
    try:
        return tensor._version
    except RuntimeError:  # made in inference mode
        return 0


def leaves_of(tensor: Tensor) -> Iterator[Tensor]:
    """The leaves that a tensor was computed from."""
    if tensor.requires_grad and tensor.is_leaf:
        base = tensor._base  # of a view made under no_grad, which is a leaf too
        yield from leaves_of(base) if base is not None and base.requires_grad else [tensor]
    else:
        yield from leaves_under(node_of(tensor))


def leaves_under(node: Any) -> Iterator[Tensor]:
    """The leaves that the tensor of a node was computed from."""
    for each, _ in walk([node], 2_000):
        variable = getattr(each, "variable", None)
        if isinstance(variable, torch.Tensor):
            yield variable


def saved_names(node: Any) -> list[str]:
    """The attributes of a node that hold what it saved for its backward pass."""
    return [name for name in dir(type(node)) if name.startswith("_saved_")]


def saved_by(node: Any) -> Iterator[Tensor]:
    """The tensors that a node saved for its backward pass."""
    for name in saved_names(node):
        try:
            value = getattr(node, name)
        except RuntimeError:  # it was changed or freed, and PyTorch says so itself
            continue
        if isinstance(value, Tensor):
            yield value


def parameters_of(optimizer: Optimizer) -> Iterator[Tensor]:
    """The parameters of all groups of an optimizer."""
    for group in optimizer.param_groups:
        yield from group["params"]
