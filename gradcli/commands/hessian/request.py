"""`hessian`: an expression, its inputs, what it is differentiated by, and a direction."""

from dataclasses import dataclass

from gradcli.options.derivatives import OfExpression
from gradcli.options.direction import DIRECTION
from gradcli.options.fields import repeated
from gradcli.options.inputs import Input


@dataclass(frozen=True, kw_only=True)
class Hessian(OfExpression):
    """The Hessian of a scalar expression, its eigenvalues, and the kind of a stationary point."""

    hvp: tuple[Input, ...] = repeated(
        DIRECTION,
        "only the product with this direction of an input, without the matrix; may be repeated",
    )
