"""`activate`: value and derivative of activations, side by side."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from gradcli.language.calls import Call
from gradcli.language.literals.literal import Literal
from gradcli.options.fields import ACTIVATION, TENSOR, argument, option
from gradcli.options.shared import ExplainOptions


@dataclass(frozen=True, kw_only=True)
class Activate(ExplainOptions):
    """Value and derivative of one or more activations at x, side by side."""

    instead: ClassVar[Mapping[str, str]] = {
        "wrt": "the derivative is with respect to x, the only input"
    }

    names: tuple[Call, ...] = argument(
        ACTIVATION, "an activation, such as sigmoid or 'leaky_relu(0.2)'", many=True
    )
    x: Literal = option(TENSOR, "where to evaluate: a tensor of any shape")
