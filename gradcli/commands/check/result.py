"""What `check` finds."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from gradcli.results import Checked, Result, aside, given


@dataclass(frozen=True)
class CheckedInput(Checked):
    """The verdict on the gradient for one input: `reason` is None where it is right."""

    reason: str | None = None
    slip: str | None = None
    finding: str = aside("")
    """What is wrong, in a sentence."""
    compared: bool = aside(True)
    """Whether there are numbers to show."""


@dataclass(frozen=True, kw_only=True)
class CheckResult(Result):
    """The check of a piece of the user's code. `value` is a tensor, or a list of several.

    `reason` is that of what belongs to no input.
    """

    target: str
    value: Any
    check: dict[str, CheckedInput] = given()  # type: ignore[assignment]
    ok: bool
    reason: str | None = None
    finding: str = aside("")
    """What `reason` means, in a sentence."""
    settings: list[str] = aside()
    """The inputs that are not checked, because their defaults are numbers."""
    weights: str = aside("")
    """The upstream gradient, in words."""
    headings: dict[str, str] = aside()
    """The headings of the columns of the user's gradient and of the reference."""

    def main(self) -> list[Tensor]:
        """The value, of any shape, if it is one tensor."""
        return [self.value] if isinstance(self.value, Tensor) else []
