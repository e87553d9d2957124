"""What `derive` finds."""

from dataclasses import dataclass

from gradcli.results import Result, aside, present


@dataclass(frozen=True, kw_only=True)
class DeriveResult(Result):
    """The formula of the gradient for each input, or None with a reason.

    A formula is a text of the expression language; what stands before its last `;` binds names.
    `upstream` is the name of the upstream gradient, if the result is not one number.
    """

    expression: str
    formulas: dict[str, str | None]
    upstream: str | None
    steps: list[dict[str, str]] | None = present()
    latex: dict[str, str | None]
    verified: dict[str, dict[str, float]]
    reasons: dict[str, str]
    short: dict[str, str] = aside()
    """With --steps, the gradients for inputs in terms of the steps' gradients."""
    output: str = aside()
    """The name of the result."""
    loss: str = aside()
    """The name of what is differentiated."""
    shape: list[int] = aside()
    """The shape of the result."""
    ranks: dict[str, int] = aside()
    """The number of dimensions of each input and step, and of the upstream gradient."""
