"""`jacobian` and `hessian`: an expression and what it is differentiated by, whole."""

from collections.abc import Callable
from dataclasses import dataclass

from gradcli.requests.formula import EXPRESSION, Formula
from gradcli.requests.inputs import INPUTS, Input
from gradcli.requests.options import argument
from gradcli.requests.shared import Explained, Wrt
from gradcli.text.source import Source


@dataclass(frozen=True, kw_only=True)
class OfExpression(Wrt, Explained):
    """The words that every command on a free expression has."""

    expression: Formula = argument(EXPRESSION, "an expression, such as 'W @ x', @FILE or -")
    inputs: tuple[Input, ...] = argument(INPUTS, "its inputs, such as W='1,2;3,4' x=1,2", (), many=True)

    @property
    def typed(self) -> Source | None:
        """The expression where it stands among the words themselves."""
        return self.expression.typed

    def source(self, read_stdin: Callable[[], str]) -> Source:
        """The expression to differentiate."""
        return self.expression.load(read_stdin)

    @property
    def input_names(self) -> tuple[str, ...]:
        """The names that the expression may use for its inputs."""
        return tuple(item.name for item in self.inputs)


@dataclass(frozen=True, kw_only=True)
class Jacobian(OfExpression):
    """The whole Jacobian of an expression: rows are outputs, columns are inputs."""


@dataclass(frozen=True, kw_only=True)
class Hessian(OfExpression):
    """The Hessian of a scalar expression, its eigenvalues, and the kind of a stationary point."""
