"""requires_grad that is set too late, or switched off for all that an optimizer was given."""

import weakref
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from gradcli.watch.detector import Call, Detector, Tensors
from gradcli.watch.finding import Also, Finding, Place
from gradcli.watch.record import Made, leaves_of, made_under, parameters_of, saved_by
from gradcli.watch.torch_functions import DETACHING

_MOST = 1_000
"""How many tensors whose flag was set are followed."""
_LOOKS = 100
"""In how many backward passes an earlier use is looked for."""


@dataclass(slots=True, eq=False)
class _Late:
    """A tensor whose flag was set: its record, when, and what had already used it."""

    ref: weakref.ref[Tensor]
    made: Made
    tick: int
    reached: bool = False
    """Whether a graph was built from it after all."""
    used: Place | None = None
    """The use that a backward pass went through."""


class Flags(Detector):
    """Follows tensors whose flag was set, and optimizers whose parameters are all frozen."""

    functions = frozenset(["requires_grad_", ".requires_grad="])

    def __init__(self, watcher: Any) -> None:
        super().__init__(watcher)
        self._late: dict[int, _Late] = {}
        self._frozen: dict[int, tuple[int, Place]] = {}
        """Optimizers that have only had frozen parameters: in how many steps, and the flag."""
        self._trained: set[int] = set()
        self._looks = 0

    def called(self, call: Call) -> None:
        """The flag of a tensor was set."""
        tensor = call.args[0]
        made = self.watcher.origin(tensor)
        if not tensor.requires_grad or not tensor.is_leaf or made is None or made.flag is None:
            return
        if id(tensor) not in self._late and len(self._late) < _MOST:
            self._late[id(tensor)] = _Late(weakref.ref(tensor), made, self.watcher.record.tick)

    def before_backward(self, roots: Tensors, inputs: Tensors, place: Place | None) -> None:
        """See which of these tensors the graph begins with, and which it has used too early."""
        waiting = {key: late for key, late in self._late.items() if not late.reached}
        if not waiting:
            return
        for leaf in (*inputs, *(leaf for root in roots for leaf in leaves_of(root))):
            if (late := waiting.pop(id(leaf), None)) is not None:
                late.reached = late.ref() is leaf
        early = {id(late.made): late for late in waiting.values() if not late.used}
        self._looks += bool(early)
        if not early or self._looks > _LOOKS:
            return
        for node, made in made_under(roots):
            for saved in saved_by(node):
                for each, user in self._uses(saved, made):
                    late = early.get(id(each))
                    if late is not None and user.tick < late.tick:
                        late.used = user.place

    def _uses(self, saved: Tensor, user: Made) -> Iterator[tuple[Made, Made]]:
        """What a saved value without a graph was computed from, each with what used it. What a
        program detached is meant as a constant.
        """
        origin = self.watcher.origin(saved) if not saved.requires_grad or saved.is_leaf else None
        waiting = [(origin, user)] if origin is not None else []
        for _ in range(50):
            if not waiting:
                return
            made, user = waiting.pop()
            yield made, user
            if made.name not in DETACHING:
                waiting += [(parent, made) for parent in made.parents]

    def stepping(self, optimizer: Optimizer, place: Place | None) -> None:
        """See whether anything that the optimizer was given can move."""
        key = id(optimizer)
        if key in self._trained:
            return
        parameters = [each for each in parameters_of(optimizer) if isinstance(each, nn.Parameter)]
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
            made = late.made
            if late.used is not None and not late.reached and made.flag is not None:
                text = (
                    f"requires_grad of the tensor of shape {list(made.shape)} is set here, "
                    "after it was used: its grad stays None"
                )
                if made.flagged:
                    yield Finding("late-flag", made.flag, text, (Also(late.used, "used here"),))
