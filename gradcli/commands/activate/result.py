"""What `activate` computes: activations side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from gradcli.evaluate.closed_forms import derivative
from gradcli.results import Origin, Result, Subject, origin


@dataclass(frozen=True)
class FunctionValue:
    """One activation at x: its value and elementwise derivative, both in the shape of x."""

    name: str
    value: Tensor
    derivative: Tensor | None


@dataclass(frozen=True, kw_only=True)
class ActivateResult(Result):
    """The activations of one call, side by side."""

    unnoted: ClassVar = frozenset({"dead-relu"})  # here x is not the input of a neuron

    functions: list[FunctionValue]

    def main(self) -> list[Tensor]:
        """The values, each in the shape of x."""
        return [function.value for function in self.functions]

    def gradient_paths(self) -> dict[str, str]:
        """The derivative of the only activation."""
        known = len(self.functions) == 1 and self.functions[0].derivative is not None
        return {"x": "functions.0.derivative"} if known else {}

    def origin(self, keys: Sequence[str]) -> Origin | None:
        """The value or the derivative of one activation, unless that is a diagonal."""
        if keys[0] != "functions":
            return None
        subject = self.subject(self.functions[int(keys[1])].name)
        elementwise = subject is not None and subject.kind == "gradient"
        return origin(subject if elementwise else None, keys[2], "x", keys[3:])

    def closed_form(self, subject: Subject, name: str) -> Tensor | None:
        """The catalogue's derivative in the shape of x."""
        assert subject.call is not None
        x = subject.inputs["x"]
        return derivative(subject.call, {"x": x}, x).expand_as(x)
