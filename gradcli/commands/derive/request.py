"""`derive`: an expression, its inputs as far as they are given, what it is differentiated by."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from gradcli.options.derivatives import ExpressionOptions
from gradcli.options.fields import FLAG, option
from gradcli.options.shared import TABLE_FILES

_PROVED = "a formula is shown only if it equals autograd's gradient"


@dataclass(frozen=True, kw_only=True)
class Derive(ExpressionOptions):
    """The gradient of an expression for each input, as a formula in PyTorch's notation, verified
    against autograd. An input that is not given is one number.
    """

    free_inputs: ClassVar[bool] = True
    files: ClassVar[tuple[str, ...]] = (".json", *TABLE_FILES)
    instead: ClassVar[Mapping[str, str]] = {
        "check": f"leave it out: {_PROVED} at random points",
        "expect": "for a formula of your own: gradcli grad EXPR NAME=T --expect 'w = 2*x*(w*x - y)'",
        "tol": f"leave it out: {_PROVED} to 1e-9",
        "explain": "for the steps as formulas: --steps; in numbers: gradcli grad EXPR NAME=T --explain",
        "csv": "formulas are text: --json, or --get formulas.w",
        "graph": "gradcli grad EXPR NAME=T --graph tree",
        "precision": "leave it out: formulas are exact",
        "full": "leave it out: formulas are never summarised",
    }

    steps: bool = option(
        FLAG, "the backward pass: the gradient of every named step and input, from the result back", False
    )  # fmt: skip
