"""`session`: what it begins with."""

from dataclasses import dataclass

from gradcli.options.fields import argument
from gradcli.options.formula import EXPRESSION, GivenExpression
from gradcli.options.inputs import INPUTS, Input


@dataclass(frozen=True, kw_only=True)
class Session:
    """Inputs, expressions and commands line by line, from a prompt or a pipe. Inputs stay, and a
    command alone is about the last expression.
    """

    expression: GivenExpression | None = argument(
        EXPRESSION, "the first expression, such as 'mse(w*x, y)'", None
    )
    inputs: tuple[Input, ...] = argument(INPUTS, "its inputs, such as x=1 w=2", (), many=True)

    @property
    def lines(self) -> tuple[str, ...]:
        """The same as lines of the session: the inputs, then the expression."""
        inputs = (f"{item.name} = {item.literal.source.text}" for item in self.inputs)
        return (*inputs, *([self.expression.given.text] if self.expression else []))
