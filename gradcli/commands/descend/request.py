"""`descend`: gradient descent on an expression, step by step."""

from dataclasses import dataclass
from typing import ClassVar

from gradcli.catalogue.optimizers import NAMES
from gradcli.commands.descend.setting import SETTING, Setting
from gradcli.errors import UsageError
from gradcli.options.derivatives import OfExpression
from gradcli.options.fields import FLAG, NUMBER, WHOLE, ValueKind, option, repeated

OPTIMIZER = ValueKind("NAME", lambda source: source.text, hints=NAMES)
MOST_STEPS = 1_000_000
FIRST = 3
"""The steps whose updates --explain shows without --full."""


@dataclass(frozen=True, kw_only=True)
class Descend(OfExpression):
    """Gradient descent on a scalar expression with any optimiser from torch.optim; --timeout limits
    each step.
    """

    pictures: ClassVar[bool] = True
    timed: ClassVar[str] = "one step"

    optimizer: str = option(
        OPTIMIZER, "an optimiser from torch.optim, such as sgd, adam or lbfgs", "sgd"
    )
    lr: float = option(NUMBER, "learning rate", 0.1)
    steps: int = option(WHOLE, "maximum number of steps", 100)
    set: tuple[Setting, ...] = repeated(
        SETTING, "another argument of the optimiser, such as momentum=0.9; may be repeated"
    )
    min_move: float | None = option(
        NUMBER, "stop when no parameter moves by more than this in a step", None
    )

    explain: bool = option(
        FLAG,
        f"the chain rule at the start and the first {FIRST} updates in numbers (--full: all)",
        False,
    )
    full: bool = False
    """Whether --explain shows all updates: set by the output option of this name."""

    @property
    def explained_steps(self) -> int:
        """How many steps, from the first on, have their updates shown."""
        return (self.steps if self.full else min(FIRST, self.steps)) if self.explain else 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.steps <= MOST_STEPS:
            raise UsageError(f"--steps must be from 0 to {MOST_STEPS:,}")
        if self.min_move is not None and not self.min_move >= 0:
            raise UsageError("--min-move must be 0 or more")
        given = {"--lr": self.lr} | {f"--set {each.name}": each.value for each in self.set}
        for name, value in given.items():
            if value != value:  # as NaN alone is
                raise UsageError(f"{name} must be a number, not NaN", hint=f"leave out {name}")
        seen: list[str] = []
        for name in (setting.name for setting in self.set):
            if name in seen:
                raise UsageError(f"--set {name} is given twice", hint="give each argument once")
            if name == "lr":
                raise UsageError("--set lr: the learning rate has its own option", hint="--lr 0.1")
            seen.append(name)
