"""`softmax-jacobian`: probabilities and the Jacobian of softmax."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from gradcli.errors import UsageError
from gradcli.language.literals.literal import Literal
from gradcli.options.fields import TENSOR, WHOLE, argument, option
from gradcli.options.shared import ExplainOptions


@dataclass(frozen=True, kw_only=True)
class SoftmaxJacobian(ExplainOptions):
    """Softmax of one vector of logits and its Jacobian: p_i (1 - p_j) for i = j, -p_i p_j
    elsewhere.
    """

    instead: ClassVar[Mapping[str, str]] = {
        "wrt": "the Jacobian is with respect to the logits, the only input"
    }

    logits: Literal | None = argument(TENSOR, "the logits: one vector, such as 2,1,0.1", None)
    x: Literal | None = option(TENSOR, "the logits, as an option", None)
    row: int | None = option(WHOLE, "show only row i: d p_i / d x_j for every j", None)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.logits is not None and self.x is not None:
            message = "the logits are given twice, as an argument and as --x"
            raise UsageError(message, hint="give them once")
        if self.logits is None and self.x is None:
            raise UsageError("the logits are missing", hint="gradcli softmax-jacobian 2,1,0.1")

    @property
    def vector(self) -> Literal:
        """The logits, from the argument or --x."""
        logits = self.logits if self.x is None else self.x
        assert logits is not None
        return logits
