"""The slips of hand derivations that `--expect` names, in the order in which they are tried, and what to do about each."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Slip:
    """One slip, seen from the user's number.

    `words` say what happened and what to do. It fits where the number is a multiple of the right one by one of `factors`,
    or what a `variant` of the computation gives: `gradcli.compute.slips` has one by each such name.
    """

    name: str
    words: str
    factors: tuple[float, ...] = ()
    variant: str = ""


LOG_FACTORS = (1 / math.log(2), 1 / math.log(10), math.log(2), math.log(10))
"""What a logarithm to another base multiplies by, either way."""

SLIPS = (
    Slip(
        "sign",
        "yours has the opposite sign: look for a lost minus, or pred - target the wrong way round",
        factors=(-1.0,),
    ),
    Slip(
        "factor-2",
        "yours is twice the computed one: the 1/2 in front of a square cancels the 2 of its derivative",
        factors=(2.0,),
    ),
    Slip(
        "factor-half",
        "yours is half the computed one: the derivative of a square brings down a factor 2",
        factors=(0.5,),
    ),
    Slip(
        "mean-for-sum",
        "yours is that of the mean, and this is a sum: do not divide by the number of elements",
        variant="mean",
    ),
    Slip(
        "sum-for-mean",
        "yours is that of the sum, and this is a mean: divide by the number of elements",
        variant="sum",
    ),
    Slip(
        "transposed",
        "yours is the transposed matrix: a gradient has the shape of its input, so swap the factors of the product",
        variant="transposed",
    ),
    Slip(
        "activation-derivative",
        "yours leaves out the slope of the activation: multiply by its derivative on the way back",
        variant="straight-through",
    ),
    Slip(
        "log-base",
        "yours is for a logarithm to another base: log is the natural one, so that d log(x)/dx = 1/x",
        variant="log-base",
    ),
    Slip(
        "double-softmax",
        "yours applies softmax twice: cross_entropy and log_softmax take raw logits",
        variant="double-softmax",
    ),
)
"""All of them; the first that fits exactly is named."""
