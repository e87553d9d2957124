"""What `jacobian` computes."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from gradcli.errors import UsageError
from gradcli.results import Result, Subject, element, one_hot

EXPLAINED = 20
"""Rows of a Jacobian that are explained, at most."""


@dataclass(frozen=True, kw_only=True)
class JacobianResult(Result):
    """d value / d input, of shape value.shape + input.shape; None if autograd returned None."""

    by_input: ClassVar = "jacobian"

    expression: str
    value: Tensor
    jacobian: dict[str, Tensor | None]

    @property
    def output(self) -> str:
        """The name of the value."""
        return self.subjects[0].output

    def main(self) -> list[Tensor]:
        """The blocks, each of shape value.shape + input.shape."""
        return [block for block in self.jacobian.values() if block is not None]

    @property
    def explainable(self) -> bool:
        """Whether it has few enough rows for --explain."""
        return self.value.numel() <= EXPLAINED

    def explained(self) -> list[Subject]:
        """A subject for each row."""
        (subject,), value = self.subjects, self.value
        if value.ndim == 0:
            return [subject]
        if not self.explainable:
            raise UsageError(
                f"--explain follows at most {EXPLAINED} rows of a Jacobian, and this one has {value.numel()}",
                hint=f"explain one row: gradcli grad EXPR NAME=T --row {','.join('0' for _ in value.shape)} --explain",
            )
        rows = []
        for row in range(value.numel()):
            name, upstream = element(self.output, row, value), one_hot(value.detach(), row)
            title = f"{name} of {subject.expression}"
            rows.append(subject._replace(name=name, title=title, upstream=upstream))
        return rows
