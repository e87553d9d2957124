"""What `functions` shows of entries of the catalogue."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from gradcli.evaluate.curves import Curve
from gradcli.results import aside, present


@dataclass(frozen=True, kw_only=True)
class FunctionsResult:
    """Entries of the catalogue: their `request.facts`, measured kinks, and codes of notes; and x,
    [points], with a curve over it.
    """

    functions: list[dict[str, Any]]
    ok: bool | None = present()
    along: str = aside()
    """The label of the curve's axis: `x` or `pred`."""
    x: Tensor | None = aside()
    curve: Curve | None = aside()
    """The one function that was named, if it maps one number to one number."""
