"""What `functions` tells of entries of the catalogue."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from gradcli.evaluate.curves import Curve
from gradcli.results import aside, present


@dataclass(frozen=True, kw_only=True)
class FunctionsResult:
    """Entries of the catalogue: what `gradcli.commands.functions.request.facts` says, kinks as
    measured, codes of notes.
    """

    functions: list[dict[str, Any]]
    ok: bool | None = present()
    along: str = aside()
    """What the curve goes along: `x`, or `pred, target 0`."""
    x: Tensor | None = aside()
    curve: Curve | None = aside()
    """The one function that is asked for, where it is one of one number."""
