"""Mistakes of hand derivations that `--expect` names, in the order in which they are tried."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Feature = Literal["square", "half-square", "difference", "product", "gradient", "jacobian"]
"""A property of the expression or of the command, found by `gradcli.evidence.expect.variants`."""


@dataclass(frozen=True)
class Slip:
    """A mistake, recognised by the user's number.

    `words` describe the number; the first of `reasons` whose feature is present says what happened
    or what to do. The number is the right one times one of `factors`, or the result of a `variant`
    of the computation, a name in `gradcli.evidence.expect.variants`.
    """

    name: str
    words: str
    reasons: tuple[tuple[Feature, str], ...] = ()
    factors: tuple[float, ...] = ()
    variant: str = ""


LOG_FACTORS = (1 / math.log(2), 1 / math.log(10), math.log(2), math.log(10))
"""The factors between the natural logarithm and one to another base, either way."""

SLIPS = (
    Slip("sign", "yours has the opposite sign: look for a missing minus",
         reasons=(("difference", ", or for a difference in the wrong order"),), factors=(-1.0,)),
    Slip("factor-2", "yours is twice the computed one",
         reasons=(("half-square", ": the 1/2 in front of the square cancels the 2 of its derivative"),), factors=(2.0,)),
    Slip("factor-half", "yours is half the computed one",
         reasons=(("square", ": the derivative of a square brings down a factor 2"),), factors=(0.5,)),
    Slip("mean-for-sum", "yours is for the mean, but this is a sum: do not divide by the number of elements",
         variant="mean"),
    Slip("sum-for-mean", "yours is for the sum, but this is a mean: divide by the number of elements", variant="sum"),
    Slip("transposed", "yours is the transposed matrix", variant="transposed", reasons=(
        ("product", ": a gradient has the shape of its input, so swap the factors of the product"),
        ("gradient", ": a gradient has the shape of its input"),
        ("jacobian", ": a Jacobian has a row for each output and a column for each input"),
    )),
    Slip("activation-derivative",
         "yours leaves out the slope of the activation: multiply by its derivative in the backward pass",
         variant="straight-through"),
    Slip("log-base",
         "yours is for a logarithm to another base: log is the natural logarithm; to base b the derivative is 1/(x ln(b))",
         variant="log-base"),
    Slip("double-softmax", "yours applies softmax twice: softmax, log_softmax and cross_entropy take raw logits",
         variant="double-softmax"),
)  # fmt: skip
"""All of them; the first that fits is named."""

OMISSIONS: Mapping[str, str] = {
    "missing-path": "yours leaves out one path to {operand}: add its product",
    "missing-factor": "yours leaves out the local derivative {local}: multiply by it",
    "missing-sum": "yours is not summed: {operand} has shape {shape} and was broadcast to {broadcast}, so sum over its copies",
    "swapped": "yours swaps the operands: the local derivative is {local}",
    "upstream": "yours leaves out the upstream gradient: multiply the local derivative by it",
}
"""What is found by leaving something out of the ledger, or by swapping it, after all of the above.
`local` is the rule of the row, which is named after these words."""
