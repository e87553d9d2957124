"""The records of the catalogue: what it holds about an activation or a loss besides PyTorch's code.

Formulas, derivatives and kinks are gradcli expressions of `x` in an activation, of `pred` and
`target` in a loss, and of the parameters, as plain numbers, bools and text. A `weight` or
`pos_weight` that is a list is a tensor, and one that is None is ones (of shape [C] for a row of
classes).
"""

from dataclasses import KW_ONLY, dataclass, field
from typing import ClassVar, Literal, TypeAlias

Value: TypeAlias = bool | int | float | str | tuple["Value", ...] | None
"""What a parameter may hold: one plain value, or the rows or numbers of a tensor."""

Target: TypeAlias = Literal["real", "probability", "count", "sign", "class", "labels"]


@dataclass(frozen=True)
class Parameter:
    """A parameter that a user may set: of the type of `default`, or one of `choices`."""

    name: str
    default: Value
    choices: tuple[Value, ...] = ()


@dataclass(frozen=True)
class _Entry:
    """The fields that activations and losses share.

    `torch` is the path of the function from `torch` or `F`. If that function, with the parameters
    as its keywords, is not yet the entry, `code` is the entry in PyTorch's terms: an expression of
    the operands, the parameters and, in a loss that is a sum, `reduction`. gradcli computes it, and
    --code writes it.

    `derivative` is None if PyTorch has none. `kinks` are the values of the first operand without
    a derivative.

    `mixes` is how much of the first operand one number of the result depends on: on one number, on
    a whole row (the last dimension of an activation, the classes of a loss), or on all of it, so
    that there are no elements.
    """

    operands: ClassVar[tuple[str, ...]]

    name: str
    torch: str
    formula: str
    derivative: str | None
    _: KW_ONLY
    code: str = ""
    kinks: tuple[str, ...] = ()
    mixes: Literal["", "row", "all"] = ""
    parameters: tuple[Parameter, ...] = ()
    aliases: tuple[str, ...] = ()

    @property
    def path(self) -> str:
        """The path in the allow-list of expressions: PyTorch's, or its own if it has `code`."""
        return f"catalogue.{self.name}" if self.code else self.torch

    @property
    def defaults(self) -> dict[str, Value]:
        """The parameters by name, in PyTorch's order, each with its default."""
        return {parameter.name: parameter.default for parameter in self.parameters}


@dataclass(frozen=True, kw_only=True)
class Activation(_Entry):
    """An activation; `range` is its image with the default parameters: intervals and sets.

    `derivative` is dy/dx; if the activation mixes a row, it is the diagonal of the Jacobian.
    """

    operands = ("x",)

    range: str


@dataclass(frozen=True, kw_only=True)
class Loss(_Entry):
    """A loss; `target` is the kind of target it takes.

    `formula` is one element before reduction, `derivative` that element's derivative with respect
    to `pred`. An element belongs to one number of `pred`, or to a row of shape [C] in a loss that
    mixes a row. `kinks` broadcast against `pred`.

    `reduction` is how elements become one number, if that is part of the loss's definition: such a
    loss has no parameter `reduction`, and its formula is that of the whole. `broadcasts`: PyTorch
    broadcasts pred and target without a warning.
    """

    operands = ("pred", "target")

    derivative: str = field(kw_only=False)
    target: Target
    reduction: Literal["", "sum", "norm"] = ""
    broadcasts: bool = False
