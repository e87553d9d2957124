"""`value`: an expression, its inputs, whether shapes are shown."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from gradcli.options.derivatives import FreeExpression
from gradcli.options.fields import FLAG, option
from gradcli.options.shared import ExpectOptions

_OF_GRADIENTS = "nothing is differentiated here: gradcli grad EXPR NAME=T"


@dataclass(frozen=True, kw_only=True)
class Value(FreeExpression, ExpectOptions):
    """The value of an expression, of any shape and type, without a gradient."""

    instead: ClassVar[Mapping[str, str]] = {
        "wrt": f"{_OF_GRADIENTS} --wrt w",
        "check": f"{_OF_GRADIENTS} --check",
        "explain": f"{_OF_GRADIENTS} --explain",
        "graph": f"{_OF_GRADIENTS} --graph tree",
    }

    shapes: bool = option(FLAG, "the shape of every sub-expression, below its text", False)
