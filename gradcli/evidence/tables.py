"""The tables of evidence on a result: the ledger, the check, the expectations."""

from gradcli.evidence.check.check_table import check_tables
from gradcli.evidence.expect.expect_table import expect_tables
from gradcli.evidence.explain.ledger_table import forward_tables, ledger_tables
from gradcli.results import Result, part
from gradcli.show.table import Table


def evidence_tables(result: Result, digits: int) -> list[Table]:
    """The tables of a result's evidence, none for CSV. A command may have its own tables of them."""
    tables: list[Table] = []
    own = part(result, "show")
    if result.ledger is not None:
        tables += getattr(own, "ledger_tables", ledger_tables)(result, digits)
    if result.forward is not None:
        tables += forward_tables(result, digits)
    if result.check is not None:
        tables += getattr(own, "check_tables", check_tables)(result, digits)
    if result.expect is not None:
        tables += expect_tables(result, digits)
    return tables
