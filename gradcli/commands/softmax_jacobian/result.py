"""What `softmax-jacobian` computes, and its Jacobian written out cell by cell."""

from dataclasses import dataclass

import torch
from torch import Tensor

from gradcli.language.limits import RESULTS
from gradcli.results import LedgerRow, Result, Subject, aside, present

_DIGITS = 4


@dataclass(frozen=True, kw_only=True)
class SoftmaxJacobianResult(Result):
    """Probabilities p of the logits x, and d p_i / d x_j: row i is output i, column j is input
    j.
    """

    probabilities: Tensor
    jacobian: Tensor
    label: int
    row: Tensor | None = present()
    row_index: int | None = aside()

    def main(self) -> list[Tensor]:
        """The Jacobian, [n, n]."""
        return [self.jacobian]

    def gradient_paths(self) -> dict[str, str]:
        """The Jacobian, or its chosen row."""
        return {"x": "jacobian" if self.row is None else "row"}

    def closed_form(self, subject: Subject, name: str) -> Tensor | None:
        """p_i (1 - p_i) on the diagonal, -p_i p_j elsewhere, [n, n]."""
        p = torch.softmax(subject.inputs["x"], -1)
        return torch.diag(p) - torch.outer(p, p)

    def written_out(self) -> list[LedgerRow]:
        """One row per cell d p_i / d x_j of the Jacobian, or of its chosen row, and one for each of
        two invariants.

        Every cell that autograd gave is asserted equal to its closed form. Raises SizeError for
        more cells than can be listed.
        """
        p, jacobian = self.probabilities, self.jacobian
        n = p.numel()
        shown = range(n) if self.row_index is None else [self.row_index]
        RESULTS.check(
            len(shown) * n, "--explain writes out every cell", hint="choose one row: --row 0"
        )
        closed = torch.diag(p) - torch.outer(p, p)
        slack = 4 * torch.finfo(p.dtype).eps
        assert torch.allclose(jacobian, closed, slack, slack, equal_nan=True), (
            "the closed form is not autograd's Jacobian"
        )
        rows = []
        numbers = [f"{number:.{_DIGITS}g}" for number in p.tolist()]
        for i in shown:
            for j in range(n):
                operation = "p_i (1 - p_i)" if i == j else "-p_i p_j"
                local = (
                    f"{numbers[i]} (1 - {numbers[i]})" if i == j else f"-{numbers[i]} {numbers[j]}"
                )
                rule = f"p{i}(1-p{i})" if i == j else f"-p{i} p{j}"
                rule = f"{rule} = {float(jacobian[i, j]):.{_DIGITS}g}"
                rows.append(
                    LedgerRow(
                        f"p{i}/x{j}",
                        operation,
                        jacobian[i, j],
                        local,
                        None,
                        None,
                        rule,
                        kind="cell",
                    )
                )
        for name, operation, value, rule in (
            ("symmetric", "max |J_ij - J_ji|", (jacobian - jacobian.T).abs().max(), "J_ij = J_ji"),
            ("rows sum to 0", "max |sum_j J_ij|", jacobian.sum(1).abs().max(), "sum_j J_ij = 0"),
        ):
            rows.append(LedgerRow(name, operation, value, None, None, None, rule, kind="invariant"))
        return rows
