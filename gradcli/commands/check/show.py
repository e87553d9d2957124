"""The tables of `check`: what is wrong, in sentences, and the gradients beside their references."""

from dataclasses import replace

from torch import Tensor

from gradcli.commands.check.result import CheckResult
from gradcli.evidence.check import check_table
from gradcli.show import numbers
from gradcli.show.pieces import one_number, table_of
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
    words = result.headings
    columns = [replace(it, heading=words.get(it.heading, it.heading)) for it in table.columns]
    title = f"{result.target}: right" if result.ok else "Slopes"
    any_is_right = "any slope between them is right (none is called wrong)"
    caption = table.caption.replace("autograd is PyTorch's choice", any_is_right)
    for heading in ("autograd", "closed form"):
        caption = caption.replace(heading, words[heading], 1)
    caption = f"{_value(result)}; {caption}"
    if result.settings:
        caption += f"; not checked, as a number is the default: {', '.join(result.settings)}"
        caption += f" (--wrt {','.join([*result.check, *result.settings])} checks all)"
    caption = caption.replace("autograd disagrees", f"{words['autograd']} disagrees")
    return replace(table, columns=tuple(columns), title=title, caption=caption)


def _value(result: CheckResult) -> str:
    """What the value is, and what is differentiated."""
    outputs = [result.value] if isinstance(result.value, Tensor) else result.value
    if sum(output.numel() for output in outputs) == 1:
        return f"value {one_number(outputs[0], 6)}"
    shapes = ", ".join(numbers.shape_text(output) for output in outputs)
    return f"value {shapes}, weighted by {result.weights}"
