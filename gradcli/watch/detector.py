"""The events that a detector is called for while a program runs: a method for each kind."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from gradcli.watch.finding import Also, Finding, Place

if TYPE_CHECKING:
    from gradcli.watch.watcher import Watcher

Tensors: TypeAlias = Sequence[Tensor]


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a function of PyTorch that returned.

    `name` is the function's own name (`add`, `cross_entropy`, `__setitem__`); an attribute that is
    read is `.data`, one that is written is `.data=`. `operands` are the tensors among the arguments,
    also those in a list. `place` is the line of the user's files that led to the call.
    """

    name: str
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    operands: Sequence[Tensor]
    result: Any
    place: Place


class Detector:
    """Looks for one kind of fault. All methods do nothing here; a subclass overrides what it needs.

    What the methods themselves do with tensors, which have any shape, is not watched. They must not
    draw random numbers, write to a tensor of the program, or keep one alive: hold weak references,
    and a bounded number of them. `watcher.origin(tensor)` returns how the tensor was made.
    """

    functions: ClassVar[frozenset[str]] = frozenset()
    """The names of the functions for which `called` is called."""

    def __init__(self, watcher: "Watcher") -> None:
        self.watcher = watcher
        self.found: dict[object, Finding] = {}
        """What was found so far, by whatever tells one finding from another."""

    def report(
        self, entry: str, place: Place | None, text: str, also: tuple[Also, ...] = ()
    ) -> None:
        """Keep a finding for the end, the first of each entry at each place that was seen."""
        if place is not None:
            self.found.setdefault((entry, place), Finding(entry, place, text, also))

    def called(self, call: Call) -> None:
        """A function of `functions`, called from the user's files, returned, outside an optimizer's
        step or in its closure.
        """

    def wrote(self, tensor: Tensor, name: str, before: int, place: Place | None) -> None:
        """`tensor` was changed in place by the function `name`; its version was `before`."""

    def before_backward(self, roots: Tensors, inputs: Tensors, place: Place | None) -> None:
        """A backward pass begins at `roots`. `inputs` is empty if it fills every leaf's grad."""

    def after_backward(self, roots: Tensors, inputs: Tensors, place: Place | None) -> None:
        """That backward pass ended without an error."""

    def given(self, optimizer: Optimizer, place: Place | None) -> None:
        """`optimizer` was made, or was given one more group of parameters."""

    def stepping(self, optimizer: Optimizer, place: Place | None) -> None:
        """`optimizer.step()` begins."""

    def stepped(self, optimizer: Optimizer, place: Place | None) -> None:
        """`optimizer.step()` ended."""

    def scheduled(self, scheduler: LRScheduler, place: Place | None) -> None:
        """`scheduler.step()` begins, but not the step that its constructor makes."""

    def zeroed(self, owner: Optimizer | nn.Module, place: Place | None) -> None:
        """`owner.zero_grad()` ended."""

    def ended(self, error: BaseException | None) -> Iterable[Finding]:
        """The program ended; `error` is what it raised, None if it ended well."""
        return self.found.values()
