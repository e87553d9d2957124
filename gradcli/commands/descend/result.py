"""What `descend` computes: every step, where and why it ended, and the updates in numbers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal, TypeAlias

from torch import Tensor

from gradcli.results import Result, aside, given

Stopped: TypeAlias = Literal["steps", "tolerance", "diverged"]


@dataclass(frozen=True)
class DescentStep:
    """Value, 0-d, and parameters in their shapes after `step` steps; step 0 is the start."""

    step: int
    value: Tensor
    parameters: dict[str, Tensor]


@dataclass(frozen=True)
class UpdateLine:
    """One quantity of an update, of any shape. `text` is its formula, and `operands` hold the
    tensors and numbers of the names in it; or `text` describes in words what PyTorch keeps.
    """

    name: str
    text: str
    value: Tensor | None
    operands: dict[str, Tensor | float] | None = None


@dataclass(frozen=True)
class Update:
    """What the optimiser made of the gradient for one parameter in one step.

    `state` holds what it keeps and what is computed on the way, and `update` is added to the
    parameter, in its shape. The gradient is None if none reached the parameter.
    """

    step: int
    parameter: str
    gradient: Tensor | None
    state: dict[str, Tensor]
    update: Tensor
    lines: tuple[UpdateLine, ...] = aside(())


@dataclass(frozen=True, kw_only=True)
class DescendResult(Result):
    """A descent: every step after the start, where it ended (value 0-d) and why."""

    by_input: ClassVar = "parameters"
    of_one_gradient: ClassVar = False
    when: ClassVar = "at the start"

    expression: str
    steps: list[DescentStep] = given(rows=True)
    parameters: dict[str, Tensor]
    value: Tensor
    stopped: Stopped
    updates: list[Update] | None = field(default=None, metadata={"omitted": True, "given": True})
    values_at: Callable[[Sequence[Sequence[float]]], list[float]] | None = aside()
    """The value of the expression at other numbers of its parameters, one or two at each point, NaN where
    it has none. None if the parameters are more, or many points would take long."""
    optimizer: str = aside()
    """The call that makes the optimiser: `SGD(lr=0.1, momentum=0.9)`."""

    def main(self) -> list[Tensor]:
        """The parameters at the end, each in its own shape."""
        return list(self.parameters.values())

    def ledger_remarks(self) -> list[str]:
        """Which gradient the ledger shows."""
        return ["this is the gradient at the start, used for the first step"]
