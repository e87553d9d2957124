"""What `softmax-jacobian` computes, and its Jacobian written out cell by cell."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from gradcli.language.limits import RESULTS
from gradcli.results import LedgerRow, Origin, Result, RowKind, Subject, aside, present

_DIGITS = 4


@dataclass(frozen=True, kw_only=True)
class SoftmaxJacobianResult(Result):
    """Probabilities p, [n], of the logits x, and d p_i / d x_j, [n, n], in row i and column j."""

    probabilities: Tensor
    jacobian: Tensor
    label: int
    row: Tensor | None = present()
    row_index: int | None = aside()

    def main(self) -> list[Tensor]:
        """The Jacobian, [n, n]."""
        return [self.jacobian]

    def origin(self, keys: Sequence[str]) -> Origin | None:
        """The origin of a number of the Jacobian, or of its one row."""
        if keys[0] == "row" and (row := self.subjects[0].row) is not None:
            keys = ["jacobian", str(row), *keys[1:]]
        return super().origin(keys)

    def gradient_paths(self) -> dict[str, str]:
        """The Jacobian, or its chosen row."""
        return {"x": "jacobian" if self.row is None else "row"}

    def closed_form(self, subject: Subject, name: str) -> Tensor | None:
        """p_i (1 - p_i) on the diagonal, -p_i p_j elsewhere, [n, n]."""
        return _closed_form(torch.softmax(subject.inputs["x"], -1))

    def written_out(self) -> list[LedgerRow]:
        """A row for each cell of the Jacobian, or of its chosen row, and for two invariants.

        Autograd's cells are asserted equal to their closed form. Raises SizeError for more cells
        than can be listed.
        """
        p, jacobian = self.probabilities, self.jacobian
        n = p.numel()
        chosen = range(n) if self.row_index is None else [self.row_index]
        count = len(chosen) * n
        RESULTS.check(count, "--explain writes out every cell", hint="choose one row: --row 0")
        closed, slack = _closed_form(p), 4 * torch.finfo(p.dtype).eps
        same = torch.allclose(jacobian, closed, slack, slack, equal_nan=True)
        assert same, "the closed form is not autograd's Jacobian"
        cells = []
        numbers = [f"{number:.{_DIGITS}g}" for number in p.tolist()]
        for i, j in product(chosen, range(n)):
            cell, a, b = jacobian[i, j], numbers[i], numbers[j]
            formula, local, rule = "-p_i p_j", f"-{a} {b}", f"-p{i} p{j}"
            if i == j:
                formula, local, rule = "p_i (1 - p_i)", f"{a} (1 - {a})", f"p{i}(1-p{i})"
            rule += f" = {float(cell):.{_DIGITS}g}"
            cells.append(_row("cell", f"p{i}/x{j}", formula, cell, local, rule))
        asymmetry, sums = (jacobian - jacobian.T).abs().max(), jacobian.sum(1).abs().max()
        return [
            *cells,
            _row("invariant", "symmetric", "max |J_ij - J_ji|", asymmetry, None, "J_ij = J_ji"),
            _row("invariant", "rows sum to 0", "max |sum_j J_ij|", sums, None, "sum_j J_ij = 0"),
        ]


def _closed_form(p: Tensor) -> Tensor:
    """The Jacobian, [n, n], of softmax where its probabilities are p, [n]."""
    return torch.diag(p) - torch.outer(p, p)


def _row(
    kind: RowKind, name: str, operation: str, value: Tensor, local: str | None, rule: str
) -> LedgerRow:
    return LedgerRow(name, operation, value, local, None, None, rule, kind=kind)
