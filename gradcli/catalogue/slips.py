"""The slips of hand derivations that `--expect` names, in the order in which they are tried, and
what to do about each.
"""

import math
from dataclasses import dataclass
from typing import Literal

Feature = Literal["square", "half-square", "difference", "product", "gradient", "jacobian"]
"""What an expression may have on the way from the input, and what is asked of it:
`gradcli.evidence.expect.variants` tells."""


@dataclass(frozen=True)
class Slip:
    """One slip, seen from the user's number.

    `words` describe the number, and the first of `reasons` whose feature is there says what
    happened or what to do. It fits where the number is a multiple of the right one by one of
    `factors`, or what a `variant` of the computation gives: `gradcli.evidence.expect.variants` has
    one by each such name.
    """

    name: str
    words: str
    reasons: tuple[tuple[Feature, str], ...] = ()
    factors: tuple[float, ...] = ()
    variant: str = ""


LOG_FACTORS = (1 / math.log(2), 1 / math.log(10), math.log(2), math.log(10))
"""What a logarithm to another base multiplies by, either way."""

SLIPS = (
    Slip(
        "sign",
        "yours has the opposite sign: look for a missing minus",
        reasons=(("difference", ", or for a difference in the wrong order"),),
        factors=(-1.0,),
    ),
    Slip(
        "factor-2",
        "yours is twice the computed one",
        reasons=(
            ("half-square", ": the 1/2 in front of the square cancels the 2 of its derivative"),
        ),
        factors=(2.0,),
    ),
    Slip(
        "factor-half",
        "yours is half the computed one",
        reasons=(("square", ": the derivative of a square brings down a factor 2"),),
        factors=(0.5,),
    ),
    Slip(
        "mean-for-sum",
        "yours is for the mean, but this is a sum: do not divide by the number of elements",
        variant="mean",
    ),
    Slip(
        "sum-for-mean",
        "yours is for the sum, but this is a mean: divide by the number of elements",
        variant="sum",
    ),
    Slip(
        "transposed",
        "yours is the transposed matrix",
        reasons=(
            (
                "product",
                ": a gradient has the shape of its input, so swap the factors of the product",
            ),
            ("gradient", ": a gradient has the shape of its input"),
            ("jacobian", ": a Jacobian has a row for each output and a column for each input"),
        ),
        variant="transposed",
    ),
    Slip(
        "activation-derivative",
        "yours leaves out the slope of the activation: multiply by its derivative in the backward pass",
        variant="straight-through",
    ),
    Slip(
        "log-base",
        "yours is for a logarithm to another base: log is the natural logarithm; to base b the derivative is 1/(x ln(b))",
        variant="log-base",
    ),
    Slip(
        "double-softmax",
        "yours applies softmax twice: softmax, log_softmax and cross_entropy take raw logits",
        variant="double-softmax",
    ),
)
"""All of them; the first that fits is named."""
