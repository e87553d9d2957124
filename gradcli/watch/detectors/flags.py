"""requires_grad that is set too late, or switched off for all that an optimizer was given."""

import weakref
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, ClassVar

from torch import Tensor, nn
from torch.optim import Optimizer

from gradcli.watch.detector import Call, Detector
from gradcli.watch.finding import Also, Finding, Place
from gradcli.watch.operands import shape_text
from gradcli.watch.record import leaves_of, made_by, node_of, saved_by, storage_of, walk

_MOST = 1_000
"""How many tensors whose flag was set are followed."""


class _Late:
    """A tensor whose flag was set: when, and the earlier use that a backward pass went through."""

    __slots__ = ("flag", "made", "reached", "ref", "shape", "storage", "tick", "used")

    def __init__(self, tensor: Tensor, made: int, tick: int, flag: Place) -> None:
        self.ref = weakref.ref(tensor)
        self.storage = storage_of(tensor)
        self.shape = tuple(tensor.shape)
        self.made = made
        self.tick = tick
        self.flag = flag
        self.reached = False
        """Whether a graph was built from it after all."""
        self.used: Place | None = None


class Flags(Detector):
    """Follows tensors whose flag was set, and optimizers whose parameters are all frozen."""

    functions: ClassVar[frozenset[str]] = frozenset(["requires_grad_", ".requires_grad="])

    def __init__(self, watcher: Any) -> None:
        super().__init__(watcher)
        self._late: dict[int, _Late] = {}
        self._frozen: dict[int, tuple[int, Place]] = {}
        """Optimizers that have only had frozen parameters: in how many steps, and the flag."""
        self._trained: set[int] = set()

    def called(self, call: Call) -> None:
        """The flag of a tensor was set."""
        tensor = call.args[0]
        made = self.watcher.origin(tensor)
        if tensor.requires_grad and tensor.is_leaf and made is not None and made.place is not None:
            if call.place is not None and id(tensor) not in self._late and len(self._late) < _MOST:
                tick = self.watcher.record.tick
                self._late[id(tensor)] = _Late(tensor, made.tick, tick, call.place)

    def before_backward(
        self, roots: Sequence[Tensor], inputs: Sequence[Tensor], place: Place | None
    ) -> None:
        """See which of these tensors the graph begins with, and which it has used too early."""
        waiting = {key: late for key, late in self._late.items() if not late.reached}
        if not waiting:
            return
        for leaf in (*inputs, *(leaf for root in roots for leaf in leaves_of(root))):
            if (late := waiting.pop(id(leaf), None)) is not None:
                late.reached = late.ref() is leaf
        early = {
            (late.storage, late.shape): late
            for late in waiting.values()
            if late.storage and not late.used and late.ref() is not None
        }
        if not early:
            return
        last = max(late.tick for late in early.values())
        for node, _ in walk([node_of(root) for root in roots], 2_000):
            made = made_by(node)
            if made is not None and made.tick < last:
                for saved in saved_by(node):
                    late = early.get((storage_of(saved), tuple(saved.shape)))
                    if late is not None and late.made < made.tick < late.tick:
                        late.used = made.place

    def stepping(self, optimizer: Optimizer, place: Place | None) -> None:
        """See whether anything that the optimizer was given can move."""
        key = id(optimizer)
        if key in self._trained:
            return
        parameters = [
            each
            for group in optimizer.param_groups
            for each in group["params"]
            if isinstance(each, nn.Parameter)
        ]
        flag = self._switched_off(parameters)
        if flag is None:
            self._trained.add(key)
            self._frozen.pop(key, None)
        else:
            count = self._frozen[key][0] if key in self._frozen else 0
            self._frozen[key] = count + 1, flag

    def _switched_off(self, parameters: Sequence[Tensor]) -> Place | None:
        """Where the flag of these parameters was switched off; None if one may move."""
        flag = None
        for each in parameters:
            if each.requires_grad or each.grad is not None:
                return None
            made = self.watcher.origin(each)
            if made is not None and made.flag is not None and not made.flagged:
                flag = made.flag
        return flag

    def ended(self, error: BaseException | None) -> Iterable[Finding]:
        """The flags that were set too late, and the optimizers that could move nothing."""
        yield from self._too_late()
        if error is None:
            for steps, flag in self._frozen.values():
                if steps >= 2:
                    text = (
                        "requires_grad of all parameters that the optimizer has is switched off "
                        f"here: none of its {steps} steps moved any of them"
                    )
                    yield Finding("frozen", flag, text)

    def _too_late(self) -> Iterator[Finding]:
        for late in self._late.values():
            if late.used is not None and not late.reached:
                text = (
                    f"requires_grad of the tensor of shape {shape_text(late.shape)} is set here, "
                    "after it was used: its grad stays None"
                )
                yield Finding("late-flag", late.flag, text, (Also(late.used, "it is used here"),))
