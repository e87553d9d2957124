"""What the commands on a free expression share: the expression, its inputs, and --wrt."""

from dataclasses import dataclass

from gradcli.options.fields import argument
from gradcli.options.formula import EXPRESSION, GivenExpression
from gradcli.options.inputs import INPUTS, Input
from gradcli.options.shared import ComputeOptions, ExplainOptions, WrtOptions


@dataclass(frozen=True, kw_only=True)
class FreeExpression(ComputeOptions):
    """The words that every command on a free expression has."""

    expression: GivenExpression = argument(EXPRESSION, "an expression, such as 'W @ x', @FILE or -")
    inputs: tuple[Input, ...] = argument(
        INPUTS, "its inputs, such as W='1,2;3,4' x=1,2", (), many=True
    )

    @property
    def formulas(self) -> tuple[GivenExpression]:
        """The one expression."""
        return (self.expression,)


@dataclass(frozen=True, kw_only=True)
class ExpressionOptions(WrtOptions, FreeExpression):
    """A free expression, and the inputs that it is differentiated by."""


@dataclass(frozen=True, kw_only=True)
class OfExpression(ExpressionOptions, ExplainOptions):
    """A free expression whose derivatives can be checked and explained."""
