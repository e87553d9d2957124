"""The tables that evidence adds to those of a result: the ledger, the check, what was expected."""

from gradcli.evidence.check.check_table import check_tables
from gradcli.evidence.expect.expect_table import expect_tables
from gradcli.evidence.explain.ledger_table import ledger_tables
from gradcli.results import Result, part
from gradcli.show.table import Table


def evidence_tables(result: Result, digits: int) -> list[Table]:
    """The tables of whatever evidence `result` holds; none of them is for CSV. A command may show
    its ledger otherwise.
    """
    found: list[Table] = []
    if result.ledger is not None:
        found += getattr(part(result, "show"), "ledger_tables", ledger_tables)(result, digits)
    if result.check is not None:
        found += check_tables(result, digits)
    if result.expect is not None:
        found += expect_tables(result, digits)
    return found
