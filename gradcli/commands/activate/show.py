"""The table of `activate`: a row for each element of x."""

from typing import Any

from gradcli.commands.activate.result import ActivateResult
from gradcli.show.pieces import shapes_text
from gradcli.show.table import Block, Column, Places, Table


def tables(result: ActivateResult, digits: int) -> list[Table]:
    """A row for each element of x, two columns for each activation."""
    x = result.inputs["x"]
    columns = [Column("" if x.ndim == 0 else "index", "index"), Column("x")]
    cells: list[Any] = [Places(x.shape), x.reshape(-1)]
    for function in result.functions:
        columns += [Column(function.name), Column(f"{function.name}'", f"d_{function.name}")]
        cells += [
            function.value.reshape(-1),
            "" if function.derivative is None else function.derivative.reshape(-1),
        ]
    title = ", ".join(f.name for f in result.functions) + " and derivative at x"
    return [
        Table(tuple(columns), (Block(x.numel(), tuple(cells)),), title, shapes_text(result), keys=2)
    ]
