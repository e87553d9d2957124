"""`jacobian`: an expression, its inputs, what it is differentiated by."""

from dataclasses import dataclass

from gradcli.options.derivatives import OfExpression


@dataclass(frozen=True, kw_only=True)
class Jacobian(OfExpression):
    """The whole Jacobian of an expression: rows are outputs, columns are inputs."""
