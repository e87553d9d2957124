"""Functions such as sign and round on the way from the weights to the loss: their slope is 0."""

import weakref
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from gradcli.watch.detector import Call, Detector, Tensors
from gradcli.watch.finding import Finding, Place
from gradcli.watch.record import leaves_of, made_under

_FEW = 2
"""In how many passes the gradients must be 0."""


@dataclass(slots=True)
class _Step:
    """A line with a step function: what is before it, and in how many passes it had no gradient."""

    name: str
    leaves: list[weakref.ref[Tensor]]
    passes: int = 0

    def is_cut_off(self) -> bool:
        """Whether all that is before it has a gradient of exactly 0."""
        leaves = [leaf for ref in self.leaves if (leaf := ref()) is not None]
        grads = [leaf.grad for leaf in leaves]
        return bool(grads) and all(grad is not None and not bool(grad.any()) for grad in grads)


class StepFunctions(Detector):
    """Looks whether the layers before a step function ever get a gradient."""

    functions = frozenset(["sign", "sgn", "round", "floor", "ceil", "trunc"])

    def __init__(self, watcher: Any) -> None:
        super().__init__(watcher)
        self._steps: dict[Place, _Step] = {}
        self._harmless: set[Place] = set()

    def called(self, call: Call) -> None:
        """Remember what is before a step function."""
        place = call.place
        if place in self._steps or place in self._harmless:
            return
        if isinstance(call.result, Tensor) and call.result.requires_grad and call.operands:
            before = [weakref.ref(leaf) for leaf in leaves_of(call.operands[0])]
            self._steps[place] = _Step(call.name, before)

    def after_backward(self, roots: Tensors, inputs: Tensors, place: Place | None) -> None:
        """Look at the gradients before the step functions that this pass went through."""
        if inputs or not self._steps:
            return
        made = [each for _, each in made_under(roots)]
        for where in {each.place for each in made if each.name in self.functions}:
            if where is None or (step := self._steps.get(where)) is None:
                continue
            if step.is_cut_off():
                step.passes += 1
            else:
                del self._steps[where]
                self._harmless.add(where)

    def ended(self, error: BaseException | None) -> Iterable[Finding]:
        """The lines that no gradient ever passed."""
        for place, step in self._steps.items():
            if error is None and step.passes >= _FEW:
                text = (
                    f"the slope of {step.name} is 0: what is computed before it had a gradient of "
                    f"exactly 0 in all {step.passes} backward passes"
                )
                yield Finding("step-activation", place, text)
