"""`flow`: how large the gradient is in every layer of a deep stack."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from gradcli.catalogue.functions import Activation
from gradcli.errors import UsageError
from gradcli.language.calls import Call, parse_call
from gradcli.language.limits import ELEMENTS
from gradcli.language.literals.literal import Literal
from gradcli.language.source import Source
from gradcli.options.fields import (
    ACTIVATION,
    TENSOR,
    TEXT,
    WHOLE,
    argument,
    check_choice,
    flag_name,
    option,
    repeated,
)
from gradcli.options.formula import EXPRESSION, GivenExpression
from gradcli.options.inputs import INPUTS, Input
from gradcli.options.shared import EvidenceOptions

INITS = ("default", "xavier", "kaiming", "normal")
USUAL = ("sigmoid", "tanh", "relu")


@dataclass(frozen=True, kw_only=True)
class Flow(EvidenceOptions):
    """Gradient size, layer by layer, through a deep stack of linear layers, or through a network of
    your own: does it vanish, explode or stay steady?
    """

    pictures: ClassVar[bool] = True
    instead: ClassVar[Mapping[str, str]] = {
        "explain": "the chain rule of one layer: gradcli perceptron --x 1,0.5 --w 0.3,-0.2 --target 1 --explain\n"
        "of a network: gradcli grad 'net = nn.Sequential(nn.Linear(2,1), nn.Tanh()); net(x).sum()' x=1,2 --explain",
        "wrt": "the derivative is with respect to the layers",
    }

    names: tuple[Call, ...] = argument(
        ACTIVATION, "activations, as with --activation", (), many=True
    )
    inputs: tuple[Input, ...] = argument(
        INPUTS, "with --net: its input x, and parameters that are not drawn", (), many=True
    )
    net: GivenExpression | None = option(
        EXPRESSION,
        "your own network instead: an expression that makes a module, such as "
        "'nn.Sequential(nn.Linear(2,3), nn.Tanh())', or @FILE",
        None,
    )
    x: Literal | None = option(TENSOR, "with --net: its input, the samples first", None)
    activation: tuple[Call, ...] = repeated(
        ACTIVATION,
        "the activation after each layer; may be repeated (default: sigmoid, tanh, relu)",
    )
    layers: int = option(WHOLE, "number of linear layers", 20)
    width: int = option(WHOLE, "number of inputs and outputs of each layer", 64)
    init: str = option(
        TEXT, "how weights are initialised; default is PyTorch's own way", "default", choices=INITS
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("init", self.init, INITS)
        if self.net is not None:
            self._check_net()
            return
        if self.x is not None or self.inputs:
            name = "x" if self.x is not None else self.inputs[0].name
            hint = "gradcli flow --net 'nn.Sequential(nn.Linear(2,3), nn.Tanh())' --x 'randn(64,2)'"
            raise UsageError(f"the input {name} requires --net", hint=hint)
        if not 2 <= self.layers <= 10_000:
            raise UsageError("--layers must be from 2 to 10,000")
        if self.width < 1:
            raise UsageError("--width must be 1 or more")
        weights = self.layers * self.width * self.width
        ELEMENTS.check(weights, "the weights of all layers", hint="a smaller --width")
        seen: list[str] = []
        for call in self.activations:
            name, text = call.entry.name, call.text
            if call.entry.mixes:
                message = f"{name} mixes its inputs, but flow needs an elementwise activation"
                raise UsageError(message, hint="such as sigmoid, tanh or relu")
            if text in seen:
                message = f"the activation {text} is given twice"
                raise UsageError(message, hint="give each one once")
            seen.append(text)

    def _check_net(self) -> None:
        others = [flag_name(n) for n in ("activation", "layers", "width") if n in self.order]
        if refused := [*(f"the activation {call.text}" for call in self.names), *others]:
            hint = "the network has its own layers: write them into --net, or leave out --net"
            raise UsageError(f"{refused[0]} cannot be used with --net", hint=hint)
        names = [*(["x"] if self.x is not None else []), *(item.name for item in self.inputs)]
        if "x" not in names:
            hint = "--x 'randn(64,2)': 64 samples of 2 numbers, as many as its first layer takes"
            raise UsageError("--x is missing: the input of --net", hint=hint)
        if names.count("x") > 1:
            raise UsageError("the input x is given twice", hint="give it once")
        if self.init != "default" and len(names) > 1:
            drawn = next(name for name in names if name != "x")
            message = f"--init {self.init} draws the weights, but {drawn} is given"
            raise UsageError(message, hint="leave out one of them")

    @property
    def formulas(self) -> tuple[GivenExpression, ...]:
        """The network, if there is one."""
        return (self.net,) if self.net is not None else ()

    @property
    def input_names(self) -> tuple[str, ...]:
        """The names that the expression of the network may use: sizes may be those of x."""
        return ("x",) if self.net is not None else ()

    @property
    def literals(self) -> dict[str, Literal | None]:
        """The input of the network, and the parameters that are given."""
        option = {} if self.x is None else {"x": self.x}
        return {**option, **{item.name: item.literal for item in self.inputs}}

    @property
    def activations(self) -> tuple[Call, ...]:
        """The activations to compare."""
        given = (*self.activation, *self.names)
        return given or tuple(parse_call(Source(name), Activation) for name in USUAL)
