"""What `loss` computes: losses side by side."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from gradcli.evaluate.closed_forms import of_loss
from gradcli.results import Origin, Result, Subject, aside, origin


@dataclass(frozen=True)
class LossValue:
    """One loss: its value, its elements before reduction, d loss / d pred in the shape of pred."""

    name: str
    value: Tensor
    elements: Tensor | None
    gradient: Tensor
    reduction: str = aside()


@dataclass(frozen=True, kw_only=True)
class LossResult(Result):
    """The losses of one call, side by side."""

    losses: list[LossValue]

    def main(self) -> list[Tensor]:
        """The gradients, each in the shape of pred."""
        return [loss.gradient for loss in self.losses]

    def gradient_paths(self) -> dict[str, str]:
        """The gradient of the only loss."""
        return {"pred": "losses.0.gradient"} if len(self.losses) == 1 else {}

    def origin(self, keys: Sequence[str]) -> Origin | None:
        """The value or the gradient of one loss."""
        if keys[0] != "losses":
            return None
        subject = self.subject(self.losses[int(keys[1])].name)
        return origin(subject, keys[2], "pred", keys[3:])

    def closed_form(self, subject: Subject, name: str) -> Tensor | None:
        """The catalogue's derivative, reduced as the loss is, in the shape of pred."""
        assert subject.call is not None
        reduction = next(loss.reduction for loss in self.losses if loss.name == subject.call.text)
        inputs = subject.inputs
        return of_loss(subject.call, inputs["pred"], inputs["target"], reduction, subject.upstream)
