"""What `perceptron` computes: one layer and its gradient, or a training."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from gradcli.evaluate.closed_forms import of_layer
from gradcli.language.calls import Call
from gradcli.results import Origin, Result, Subject, as_run, aside, given, origin, step_key


@dataclass(frozen=True, kw_only=True)
class PerceptronResult(Result):
    """One layer forward, and the gradient of its loss by w, b and x; None without a derivative.

    `z` and `output` are [out] or [batch, out], without `out` where w is [in].
    """

    z: Tensor
    output: Tensor
    loss: Tensor
    gradients: dict[str, Tensor | None]
    layer: str = aside()
    calls: tuple[Call, Call] = as_run()
    """The activation and the loss."""

    def origin(self, keys: Sequence[str]) -> Origin | None:
        """The origin of a gradient, of the loss, or of one of its steps."""
        step = {"z": "z", "output": "O"}.get(keys[0])
        if step and self.subjects:
            return origin(self.subjects[0], "value", step_key(step), keys[1:])
        return super().origin(keys)

    def main(self) -> list[Tensor]:
        """The output, in the shape of `output`."""
        return [self.output]

    def closed_form(self, subject: Subject, name: str) -> Tensor | None:
        """dE/dw_kj = dE/dO_k O'(z_k) x_j, summed over the batch, in the shape of the input."""
        return of_layer(*self.calls, subject.inputs, name)

    def ledger_remarks(self) -> list[str]:
        """How the indices of the lecture and of nn.Linear correspond."""
        several = self.inputs["w"].ndim == 2
        return ["the lecture's w_jk, from input j to output k, is w[k][j] here"] if several else []


@dataclass(frozen=True)
class Epoch:
    """The state after one pass over the data: misclassified rows, loss, w [in] and b, 0-d."""

    epoch: int
    errors: int
    loss: Tensor
    w: Tensor
    b: Tensor


@dataclass(frozen=True, kw_only=True)
class PerceptronTraining(Result):
    """A layer, w [in] and b 0-d, trained from zeros; `converged` if no row is misclassified."""

    of_one_gradient: ClassVar = False

    epochs: int
    converged: bool
    w: Tensor
    b: Tensor
    history: list[Epoch] = given(rows=True)
    layer: str = aside()

    def main(self) -> list[Tensor]:
        """The weights, [in]."""
        return [self.w]
