"""`flow`: how large the gradient is in every layer of a deep stack."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from gradcli.catalogue.functions import Activation
from gradcli.errors import UsageError
from gradcli.language.calls import Call, parse_call
from gradcli.language.limits import ELEMENTS
from gradcli.language.source import Source
from gradcli.options.fields import ACTIVATION, TEXT, WHOLE, argument, check_choice, option, repeated
from gradcli.options.shared import EvidenceOptions

INITS = ("default", "xavier", "kaiming", "normal")
USUAL = ("sigmoid", "tanh", "relu")


@dataclass(frozen=True, kw_only=True)
class Flow(EvidenceOptions):
    """Gradient size, layer by layer, through a deep stack of linear layers: does it vanish, explode
    or stay steady?
    """

    instead: ClassVar[Mapping[str, str]] = {
        "explain": "the chain rule of one layer: gradcli perceptron --x 1,0.5 --w 0.3,-0.2 --target 1 --explain",
        "wrt": "the derivative is with respect to the layers",
    }

    names: tuple[Call, ...] = argument(
        ACTIVATION, "activations, as with --activation", (), many=True
    )
    activation: tuple[Call, ...] = repeated(
        ACTIVATION,
        "the activation after each layer; may be repeated (default: sigmoid, tanh, relu)",
    )
    layers: int = option(WHOLE, "number of linear layers", 20)
    width: int = option(WHOLE, "number of inputs and outputs of each layer", 64)
    init: str = option(
        TEXT, "how weights are initialised; default is that of nn.Linear", "default", choices=INITS
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("init", self.init, INITS)
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

    @property
    def activations(self) -> tuple[Call, ...]:
        """The activations to compare."""
        given = (*self.activation, *self.names)
        return given or tuple(parse_call(Source(name), Activation) for name in USUAL)
