"""What `jacobian` computes."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from gradcli.errors import UsageError
from gradcli.results import Origin, Result, Subject, element, one_hot, origin

EXPLAINED = 20
"""Rows of a Jacobian that are explained, at most."""


@dataclass(frozen=True, kw_only=True)
class JacobianResult(Result):
    """d value / d input for each input, of shape value.shape + input.shape; None where autograd
    returned None.
    """

    expression: str
    value: Tensor
    jacobian: dict[str, Tensor | None]

    @property
    def output(self) -> str:
        """What the elements of the value are called."""
        return self.subjects[0].output

    def main(self) -> list[Tensor]:
        """The blocks, each of shape value.shape + input.shape."""
        return [block for block in self.jacobian.values() if block is not None]

    def gradient_paths(self) -> dict[str, str]:
        """The blocks by name."""
        return {name: f"jacobian.{name}" for name in self.jacobian}

    def origin(self, keys: Sequence[str]) -> Origin | None:
        """The value, or a block."""
        name, index = (keys[1], keys[2:]) if keys[0] == "jacobian" else ("x", keys[1:])
        return origin(self.subjects[0], keys[0], name, index)

    @property
    def explainable(self) -> bool:
        """Whether it has few enough rows."""
        return self.value.numel() <= EXPLAINED

    def explained(self) -> list[Subject]:
        """Each row by itself."""
        (subject,), value = self.subjects, self.value
        if value.ndim == 0:
            return [subject]
        if not self.explainable:
            raise UsageError(
                f"--explain follows at most {EXPLAINED} rows of a Jacobian, and this one has {value.numel()}",
                hint=f"explain one row: gradcli grad EXPR NAME=T --row {','.join('0' for _ in value.shape)} --explain",
            )
        return [
            subject._replace(
                name=element(self.output, row, value),
                title=f"{element(self.output, row, value)} of {subject.expression}",
                upstream=one_hot(value.detach(), row),
            )
            for row in range(value.numel())
        ]
