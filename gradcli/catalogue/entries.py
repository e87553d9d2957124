"""The records of the catalogue: what is known about an activation or a loss beside PyTorch's own code.

Formulas, derivatives and kinks are expressions of gradcli's own language. Their names are `x` in an activation, `pred`
and `target` in a loss, and the parameters, as plain numbers, bools and text; a `weight` or `pos_weight` that is a list
is a tensor, and one that is None is ones: shape [C] beside a row of classes.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

Value: TypeAlias = bool | int | float | str | tuple[float, ...] | None
"""What a parameter may hold: one plain value, or the numbers of a 1-D tensor."""

Target: TypeAlias = Literal["real", "probability", "count", "sign", "class", "labels"]


@dataclass(frozen=True)
class Parameter:
    """One parameter that a user may set; the type of `default` says what it takes, where `choices` does not."""

    name: str
    default: Value
    choices: tuple[Value, ...] = ()


@dataclass(frozen=True)
class Activation:
    """One activation; `torch` is the path of its function from `torch` or `F`.

    `derivative` is dy/dx, None where there is none. `range` is the image for the default parameters, as intervals and
    sets joined by `or`. `kinks` are the values of x without a derivative.
    """

    name: str
    torch: str
    formula: str
    derivative: str | None
    range: str
    kinks: tuple[str, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True)
class Loss:
    """One loss; `torch` is the path of its function from `torch` or `F`, `target` the kind of target it takes.

    `formula` is one element before reduction, `derivative` that element's derivative by `pred`. An element belongs to
    one number of `pred`, or in the losses of `BY_ROW` to a whole row of shape [C]. `kinks` are the values of `pred`
    without a derivative; each broadcasts against `pred`.
    """

    name: str
    torch: str
    formula: str
    derivative: str
    target: Target
    kinks: tuple[str, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    aliases: tuple[str, ...] = ()
