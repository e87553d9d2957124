"""The table of `activate`: a row for each element of x."""

from gradcli.commands.activate.result import ActivateResult
from gradcli.show.pieces import FilledColumn, shapes_text, table_of
from gradcli.show.table import Column, Places, Table


def tables(result: ActivateResult, digits: int) -> list[Table]:
    """A row for each element of x, two columns for each activation."""
    x = result.inputs["x"]
    columns: list[FilledColumn] = [
        (Column("" if x.ndim == 0 else "index", "index"), Places(x.shape)),
        ("x", x.reshape(-1)),
    ]
    for function in result.functions:
        slope = "" if function.derivative is None else function.derivative.reshape(-1)
        heading = Column(f"{function.name}'", f"d_{function.name}")
        columns += [(function.name, function.value.reshape(-1)), (heading, slope)]
    title = ", ".join(function.name for function in result.functions) + " and derivative at x"
    return [table_of(x.numel(), columns, title, shapes_text(result), keys=2)]
