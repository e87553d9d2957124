"""The table of `--expect`: expected and computed side by side, and the slip that explains a miss."""

from gradcli.results import Expected, Result
from gradcli.show.numbers import shape_text
from gradcli.show.table import Block, Cells, Column, Places, Table


def expect_tables(result: Result, digits: int) -> list[Table]:
    """One table for each expectation."""
    return [_table(key, found) for key, found in (result.expect or {}).items()]


def _table(key: str, found: Expected) -> Table:
    expected, computed = found.expected.reshape(-1), found.computed.reshape(-1)
    columns = [Column("value"), Column("expected"), Column("computed")]
    cells: list[Cells] = [Places(found.computed.shape, key), expected, computed]
    if found.met:
        columns += [Column("difference"), Column("verdict")]
        cells += [computed.double() - expected, ["ok" if met else "off" for met in found.met]]
    title = f"{key} is {'' if found.ok else 'not '}as expected"
    block = Block(expected.numel(), tuple(cells))
    return Table(tuple(columns), (block,), title, _caption(found), csv=False)


def _caption(found: Expected) -> str:
    said = [f"{found.slip}: {found.advice}" if found.slip else found.advice] if found.advice else []
    if not found.met:
        said.append(f"expected shape {shape_text(found.expected)}, computed shape {shape_text(found.computed)}")
    return "; ".join(said)
