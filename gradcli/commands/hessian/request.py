"""`hessian`: an expression, its inputs, what it is differentiated by."""

from dataclasses import dataclass

from gradcli.options.derivatives import OfExpression


@dataclass(frozen=True, kw_only=True)
class Hessian(OfExpression):
    """The Hessian of a scalar expression, its eigenvalues, and the kind of a stationary point."""
