"""The records of the catalogue: what is known about an activation or a loss beside PyTorch's own
code.

Formulas, derivatives and kinks are expressions of gradcli's own language. Their names are `x` in an
activation, `pred` and `target` in a loss, and the parameters, as plain numbers, bools and text; a
`weight` or `pos_weight` that is a list is a tensor, and one that is None is ones: shape [C] beside
a row of classes.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

Value: TypeAlias = bool | int | float | str | tuple[float, ...] | None
"""What a parameter may hold: one plain value, or the numbers of a 1-D tensor."""

Target: TypeAlias = Literal["real", "probability", "count", "sign", "class", "labels"]


@dataclass(frozen=True)
class Parameter:
    """One parameter that a user may set; the type of `default` says what it takes, where `choices`
    does not.
    """

    name: str
    default: Value
    choices: tuple[Value, ...] = ()


@dataclass(frozen=True, kw_only=True)
class _Entry:
    """What activations and losses have in common.

    `torch` is the path of the function from `torch` or `F`. Where that function with the parameters
    as its keywords is not yet the entry, `code` is the entry in PyTorch's terms, over the operands,
    the parameters and, in a loss that is a sum, `reduction`. It is both what gradcli computes and
    what --code writes.

    `derivative` is None where PyTorch has none. `kinks` are the values of the first operand without
    a derivative.

    `mixes` says on how much of the first operand one number of the result depends: on one number of
    it, on a whole row (the last dimension of an activation, the classes of a loss), or on all of
    it, so that there are no elements.
    """

    operands: ClassVar[tuple[str, ...]]

    name: str
    torch: str
    code: str = ""
    formula: str
    derivative: str | None
    kinks: tuple[str, ...] = ()
    mixes: Literal["", "row", "all"] = ""
    parameters: tuple[Parameter, ...] = ()
    aliases: tuple[str, ...] = ()

    @property
    def path(self) -> str:
        """The path of the entry in the allow-list of expressions: PyTorch's, or one of its own
        where it has its own code.
        """
        return f"catalogue.{self.name}" if self.code else self.torch


@dataclass(frozen=True, kw_only=True)
class Activation(_Entry):
    """One activation. `range` is the image for the default parameters, as intervals and sets joined
    by `or`.

    `derivative` is dy/dx; of an activation that mixes a row it is the diagonal of the Jacobian.
    """

    operands = ("x",)

    range: str


@dataclass(frozen=True, kw_only=True)
class Loss(_Entry):
    """One loss; `target` is the kind of target it takes.

    `formula` is one element before reduction, `derivative` that element's derivative by `pred`. An
    element belongs to one number of `pred`, or in the losses that mix a row to a whole row of shape
    [C]. `kinks` broadcast against `pred`.

    `reduction` is how elements become one number where that defines the loss: such a loss has no
    parameter `reduction`, and a formula of the whole. `broadcasts` where PyTorch broadcasts pred
    and target without a warning.
    """

    operands = ("pred", "target")

    derivative: str
    target: Target
    reduction: Literal["", "sum", "norm"] = ""
    broadcasts: bool = False
