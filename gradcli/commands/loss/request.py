"""`loss`: values, elements and gradients of losses, side by side."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from gradcli.language.calls import Call
from gradcli.language.literals.literal import Literal
from gradcli.options.fields import LOSS, TENSOR, TEXT, argument, check_choice, option
from gradcli.options.shared import ExplainOptions

REDUCTIONS = ("mean", "sum", "none")


@dataclass(frozen=True, kw_only=True)
class Loss(ExplainOptions):
    """Value of one or more losses, their elements, and d loss / d pred, side by side."""

    instead: ClassVar[Mapping[str, str]] = {
        "wrt": "the gradient is for pred; for target: gradcli grad 'mse(pred, target)' pred=1,2 target=0,0 --wrt target"
    }

    names: tuple[Call, ...] = argument(LOSS, "a loss, such as mse or 'huber(delta=2)'", many=True)
    pred: Literal = option(TENSOR, "predictions (for cross_entropy: logits)")
    target: Literal = option(
        TENSOR, "targets, or class indices for cross_entropy, nll and multi_margin"
    )
    reduction: str = option(
        TEXT, "how elements are reduced to one number", "mean", choices=REDUCTIONS
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("reduction", self.reduction, REDUCTIONS)
