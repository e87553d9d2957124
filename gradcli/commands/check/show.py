"""The tables of `check`: what is wrong, in sentences, and the gradients beside their references."""

from dataclasses import replace

from gradcli.commands.check.result import CheckResult
from gradcli.evidence.check import check_table
from gradcli.show.pieces import table_of
from gradcli.show.table import Table


def tables(result: CheckResult, digits: int) -> list[Table]:
    """The findings, if there are any; and all slopes for CSV."""
    found = [replace(table, csv=True, screen=False) for table in check_tables(result, digits)]
    rows = [(name, each.reason, each.finding) for name, each in result.check.items() if not each.ok]
    if result.reason:
        rows.insert(0, ("", result.reason, result.finding))
    if rows:
        columns = zip(("input", "reason", "what is wrong"), zip(*rows, strict=True), strict=True)
        found.append(table_of(len(rows), columns, f"{result.target}: wrong", csv=False))
    return found


def check_tables(result: CheckResult, digits: int) -> list[Table]:
    """The table of --check, with this command's headings, of the inputs that have numbers."""
    compared = {name: each for name, each in result.check.items() if each.compared}
    tables = check_table.check_tables(replace(result, check=compared), digits)
    return [_own_words(table, result) for table in tables]


def _own_words(table: Table, result: CheckResult) -> Table:
    columns = tuple(
        replace(column, heading=result.headings.get(column.heading, column.heading))
        for column in table.columns
    )
    title = f"{result.target}: right" if result.ok else "Slopes"
    caption = table.caption.replace("autograd", result.headings["autograd"])
    return replace(table, columns=columns, title=title, caption=caption)
