"""What `descend` computes: every step, and where and why it ended."""

from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

from torch import Tensor

from gradcli.results import Result, aside, given

Stopped: TypeAlias = Literal["steps", "tolerance", "diverged"]


@dataclass(frozen=True)
class DescentStep:
    """Value and parameters after `step` steps; step 0 is the start."""

    step: int
    value: Tensor
    parameters: dict[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class DescendResult(Result):
    """A descent: every step after the start, where it ended and why."""

    by_input: ClassVar = "parameters"
    of_one_gradient: ClassVar = False
    when: ClassVar = "at the start"

    expression: str
    steps: list[DescentStep] = given(rows=True)
    parameters: dict[str, Tensor]
    value: Tensor
    stopped: Stopped
    optimizer: str = aside()
    """The call that makes the optimiser: `SGD(lr=0.1, momentum=0.9)`."""

    def main(self) -> list[Tensor]:
        """The parameters at the end, each in its own shape."""
        return list(self.parameters.values())

    def ledger_remarks(self) -> list[str]:
        """Which gradient the ledger shows."""
        return ["this is the gradient at the start, used for the first step"]
