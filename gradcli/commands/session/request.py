"""`session`: what it begins with."""

from contextlib import suppress
from dataclasses import dataclass

from gradcli.errors import GradcliError
from gradcli.options.fields import argument
from gradcli.options.formula import EXPRESSION, GivenExpression
from gradcli.options.inputs import INPUTS, Input, read_input


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
        """The same as lines of the session: the inputs in their order, then the expression. The first
        word may also be an input.
        """
        first, inputs = self.expression, list(self.inputs)
        with suppress(GradcliError):
            if first:
                inputs, first = [read_input(first.given), *inputs], None
        lines = (f"{item.name} = {item.literal.source.text}" for item in inputs)
        return (*lines, *([first.given.text] if first else []))
