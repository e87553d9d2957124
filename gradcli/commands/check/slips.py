"""What explains a wrong gradient: the slips of `--expect` that need no expression."""

from collections.abc import Collection, Mapping

import torch
from torch import Tensor

from gradcli.catalogue.slips import OMISSIONS, SLIPS
from gradcli.evidence.expect.guesses import fits
from gradcli.evidence.expect.misses import ratio


def slip(
    mine: Tensor, right: Tensor, upstream: Tensor, counts: Collection[int],
    unweighted: Tensor | None
) -> tuple[str | None, str]:  # fmt: skip
    """The slip that gives `mine` where `right` is due, and what to do about it; None and nothing.

    `upstream` has the shape of the value, `counts` are numbers of elements that a mean may divide
    by, and `unweighted` is the gradient for an upstream gradient of ones.
    """
    elementwise = (
        unweighted is not None
        and unweighted.shape == upstream.shape
        and torch.allclose(unweighted * upstream, right, 1e-5, 1e-8)
    )
    of_variant: Mapping[str, list[Tensor]] = {
        "mean": [right / count for count in counts],
        "sum": [right * count for count in counts],
        "transposed": [right.T] if right.ndim == 2 else [],
        "straight-through": [upstream] if elementwise else [],  # else it is not an activation
    }
    exact = torch.zeros_like(mine)
    for each in SLIPS:
        guesses = [*(factor * right for factor in each.factors), *of_variant.get(each.variant, ())]
        if any(fits(mine, guess, exact) for guess in guesses):
            return each.name, each.words
    if unweighted is not None and fits(mine, unweighted, exact):
        return "upstream", OMISSIONS["upstream"]
    if found := ratio([(mine, right)], (1e-6 * mine).abs()):
        return found.slip, found.advice
    return None, ""


def of_shape(mine: Tensor, right: Tensor) -> tuple[str | None, str]:
    """The slip that explains a gradient of a wrong shape, and what to do about it."""
    exact = torch.zeros_like(right)
    if mine.ndim == 2 and fits(mine.T, right, exact):
        return "transposed", "transpose it"
    for mask in range(2 ** min(mine.ndim, 5)):  # sets of dimensions that may have to be summed
        dims = [dim for dim in range(mine.ndim) if mask >> dim & 1]
        summed = mine.sum(dims) if dims else mine
        if summed.numel() == right.numel() and fits(summed.reshape(right.shape), right, exact):
            if summed.numel() == mine.numel():
                return None, "the numbers are right: reshape it"
            return "missing-sum", f"sum it over dimension {', '.join(map(str, dims))}"
    return None, ""
