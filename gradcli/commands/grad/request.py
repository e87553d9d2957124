"""`grad`: the value of an expression and its gradient for each input."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cached_property

from gradcli.catalogue.functions import Loss
from gradcli.errors import UsageError
from gradcli.language.calls import Call
from gradcli.language.literals.literal import Literal
from gradcli.language.source import Source
from gradcli.language.suggest import did_you_mean
from gradcli.options.direction import DIRECTION
from gradcli.options.fields import (
    FUNCTION,
    INDEX,
    NAMES,
    TENSOR,
    TEXT,
    argument,
    check_choice,
    option,
    repeated,
)
from gradcli.options.formula import EXPRESSION, GivenExpression
from gradcli.options.inputs import INPUTS, Input, input_name
from gradcli.options.shared import UPSTREAM, ExplainOptions, WrtOptions

VIAS = ("grad", "backward")
FN_INPUTS = ("x", "w", "b", "y")


@dataclass(frozen=True, kw_only=True)
class Grad(WrtOptions, ExplainOptions):
    """Value of an expression and its gradient for each input; --fn NAME is short for 'NAME(x*w + b,
    y)'.
    """

    expression: GivenExpression | None = argument(
        EXPRESSION, "an expression, such as 'mse(w*x + b, y)', @FILE or -", None
    )
    inputs: tuple[Input, ...] = argument(INPUTS, "its inputs, such as x=1 w=2,3", (), many=True)
    fn: Call | None = option(
        FUNCTION, "a loss or an activation of x*w + b, instead of an expression", None
    )
    x: Literal | None = option(TENSOR, "x of --fn", None)
    w: Literal | None = option(TENSOR, "w of --fn", None, shown="1")
    b: Literal | None = option(TENSOR, "b of --fn", None, shown="0")
    y: Literal | None = option(TENSOR, "target y of --fn", None, shown="ones")
    via: str = option(
        TEXT, "autograd.grad, or loss.backward(): the same numbers", "grad", choices=VIAS
    )
    row: tuple[int, ...] | None = option(
        INDEX, "differentiate this element of the result, such as 1 or 0,-1", None
    )
    vjp: Literal | None = option(TENSOR, "upstream gradient, with the shape of the result", None)
    each: tuple[str, ...] = option(
        NAMES, "sample by sample along the first dimension of these inputs, one row each", ()
    )
    jvp: tuple[Input, ...] = repeated(
        DIRECTION, "forward mode: the derivative in this direction of an input; may be repeated"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("via", self.via, VIAS)
        if self.row is not None and self.vjp is not None:
            raise UsageError("--row and --vjp cannot be used together", hint="choose one of them")
        if self.each and (self.row is not None or self.vjp is not None):
            rule = "--each needs one number for each sample"
            raise UsageError(f"{rule}: --row and --vjp cannot be used with it")
        if self.each and self.jvp:
            message = "--jvp is the derivative at one point, but --each computes many"
            raise UsageError(message, hint="leave out --each and give one point")
        for name in self.each:
            if name in ("value", "gradients"):
                message = (
                    f"--each: each row has a {name!r} of its own, so no input can be called so"
                )
                raise UsageError(message, hint=f"call the input {name}_ or {name}1")
        given = [name for name in FN_INPUTS if getattr(self, name) is not None]
        if self.fn is None:
            self._check_expression(given)
        else:
            self._check_fn(self.fn)

    @classmethod
    def named(cls, given: Collection[str]) -> tuple[str, ...]:
        """The inputs of --fn; without it NAME=T is an input of the expression."""
        return FN_INPUTS if "fn" in given else ()

    def _check_expression(self, given: list[str]) -> None:
        if given:
            with_expression = f"with an expression write {given[0]}=T"
            hint = with_expression if self.expression else "--fn mse, for example"
            raise UsageError(f"--{given[0]} requires --fn", hint=hint)
        if self.expression is None:
            raise UsageError(
                "nothing to differentiate: give an expression or --fn",
                hint="gradcli grad --fn mse --x 1 --w 2\ngradcli grad 'mse(w*x, y)' x=1 w=2 y=1",
            )

    @property
    def formulas(self) -> tuple[GivenExpression, ...]:
        """The expression; none with --fn."""
        return (self.expression,) if self.expression is not None else ()

    def sources(self, read_stdin: Callable[[], str]) -> list[Source]:
        """The expression to differentiate; with --fn the expression that it is short for."""
        if self.fn is not None:
            return [Source(self.fn.of_product)]
        return super().sources(read_stdin)

    @property
    def literals(self) -> dict[str, Literal | None]:
        """The literal of each input; with --fn None for an input that was not given."""
        if self.fn is not None:
            return {name: getattr(self, name) for name in self.input_names}
        return super().literals

    @cached_property
    def input_names(self) -> tuple[str, ...]:
        """The names that the expression may use for its inputs."""
        if self.fn is None:
            return super().input_names
        return self.as_given(FN_INPUTS if isinstance(self.fn.entry, Loss) else FN_INPUTS[:3])

    @property
    def formula_names(self) -> tuple[str, ...]:
        """The names that a formula of --expect may use: with --vjp also the upstream gradient's."""
        return (*self.input_names, *(UPSTREAM if self.vjp is not None else ()))

    def _check_fn(self, fn: Call) -> None:
        if self.expression is not None or self.inputs:
            expression = self.expression
            name = input_name(expression.given.text) if expression else self.inputs[0].name
            if not name:
                message = "--fn and an expression cannot be used together"
                raise UsageError(message, hint="choose one of them")
            hint = did_you_mean(name, FN_INPUTS) or f"its inputs are {', '.join(FN_INPUTS)}"
            raise UsageError(f"--fn has no input {name!r}", hint=hint)
        name = fn.entry.name
        if self.x is None:
            raise UsageError("--x is missing", hint=f"gradcli grad --fn {name} --x 1 --w 2")
        if not isinstance(fn.entry, Loss):
            if self.y is not None:
                message = f"--y cannot be used with the activation {name}"
                raise UsageError(message, hint="leave out --y")
        elif fn.entry.target == "class" and self.y is None:
            message = f"--y is missing: {name} needs class indices"
            raise UsageError(message, hint="for example --y 0")
