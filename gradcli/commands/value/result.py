"""What `value` computes."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from gradcli.language.source import Span
from gradcli.results import Origin, Result, as_run, aside, origin, present, step_key


@dataclass(frozen=True)
class Part:
    """A sub-expression, its shape, its place in the text, and that of its statement."""

    expression: str
    shape: list[int]
    place: Span = as_run()
    statement: Span = as_run()


@dataclass(frozen=True, kw_only=True)
class ValueResult(Result):
    """A value of any shape and dtype, and those of the named steps."""

    expression: str
    value: Tensor
    intermediates: dict[str, Tensor]
    shapes: list[Part] | None = present()
    """The sub-expressions in the order computed."""
    output: str = aside("result")
    """The name of the value: that of the last statement, or `result`."""

    def main(self) -> list[Tensor]:
        """The value, of any shape."""
        return [self.value]

    def gradient_paths(self) -> dict[str, str]:
        """The value, which is what a number of --expect without a name means."""
        return {"value": "value"}

    def step_paths(self) -> dict[str, str]:
        """The values of the named steps."""
        return {name: f"intermediates.{name}" for name in self.intermediates}

    def origin(self, keys: Sequence[str]) -> Origin | None:
        """The origin of the value or of a step's. A formula is compared where these have slopes, so
        the subject there is differentiated.
        """
        inputs = self.subjects[0].inputs.items()
        by = tuple(name for name, tensor in inputs if tensor.is_floating_point())
        subject = self.subjects[0]._replace(by=by)
        match keys:
            case ["value", *index]:
                return origin(subject, "value", "", index)
            case ["intermediates", name, *index]:
                return origin(subject, "value", step_key(name), index)
        return None
