"""The forms for another page, by the names of their options: Markdown, LaTeX, HTML."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gradcli.show.document import Part


def written(
    form: str, parts: "Sequence[Part]", ranks: Mapping[str, int] = MappingProxyType({})
) -> str:
    """The parts in a form of `gradcli.options.shared.MARKUPS`, each of which is a module here.

    `ranks` has the number of dimensions of each tensor that expressions name.
    """
    return str(import_module(f"gradcli.show.{form}").write(parts, ranks))
