"""The Jacobian of softmax written out: every cell as a formula with its numbers, and what holds for all of them."""

import torch

from gradcli.language.limits import RESULTS
from gradcli.results import LedgerRow, SoftmaxJacobianResult

_DIGITS = 4


def softmax_ledger(result: SoftmaxJacobianResult) -> list[LedgerRow]:
    """One row per cell d p_i / d x_j of the Jacobian, or of its chosen row, and one for each of two invariants.

    Every cell that autograd gave is asserted equal to its closed form. Raises SizeError for more cells than can be listed.
    """
    p, jacobian = result.probabilities, result.jacobian
    n = p.numel()
    shown = range(n) if result.row_index is None else [result.row_index]
    RESULTS.check(len(shown) * n, "--explain writes out every cell", cure="choose one row: --row 0")
    closed = torch.diag(p) - torch.outer(p, p)
    slack = 4 * torch.finfo(p.dtype).eps
    assert torch.allclose(jacobian, closed, slack, slack, equal_nan=True), "the closed form is not autograd's Jacobian"
    rows = []
    numbers = [f"{number:.{_DIGITS}g}" for number in p.tolist()]
    for i in shown:
        for j in range(n):
            operation = "p_i (1 - p_i)" if i == j else "-p_i p_j"
            local = f"{numbers[i]} (1 - {numbers[i]})" if i == j else f"-{numbers[i]} {numbers[j]}"
            rule = f"p{i}(1-p{i})" if i == j else f"-p{i} p{j}"
            rule = f"{rule} = {float(jacobian[i, j]):.{_DIGITS}g}"
            rows.append(LedgerRow(f"p{i}/x{j}", operation, jacobian[i, j], local, None, None, rule))
    asymmetry, sums = (jacobian - jacobian.T).abs().max(), jacobian.sum(1).abs().max()
    rows.append(LedgerRow("symmetric", "max |J_ij - J_ji|", asymmetry, None, None, None, "J_ij = J_ji"))
    rows.append(LedgerRow("rows sum to 0", "max |sum_j J_ij|", sums, None, None, None, "sum_j J_ij = 0"))
    return rows
