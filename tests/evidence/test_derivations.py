"""`derive` on gradients that textbooks print, and on expressions that nobody printed: every text
that it shows equals autograd's gradient, evaluated by plain Python and PyTorch at new points and at
other sizes.
"""

import json
from functools import cache

import pytest
import torch

from gradcli.evaluate.job import default_dtype
from tests.program import run
from tools.derivations import LONGER, Row, book_row, read, row

BOOK, WILD = "derivations.txt", "formulas_wild.txt"


@cache
def rows(corpus: str) -> list[Row]:
    """What `derive` gives for each block of a corpus, in one batch."""
    blocks = read(corpus)
    ran = run("batch", "--jobs", "1", stdin="".join(json.dumps(each.job) + "\n" for each in blocks))
    assert ran.status in (0, 1), ran.stderr
    answers = map(json.loads, ran.stdout.splitlines())
    with default_dtype(torch.float64):
        return [row(*each) for each in zip(blocks, answers, strict=True)]


def test_the_textbooks_are_right(double: None) -> None:
    blocks = read(BOOK)
    assert len({each.name for each in blocks}) == len(blocks) >= 200
    assert {each.name: each.wrong for each in map(book_row, blocks) if each.wrong} == {}


@pytest.mark.parametrize("corpus", [BOOK, WILD])
def test_every_text_is_the_gradient(corpus: str) -> None:
    found = rows(corpus)
    assert {each.block.expression: each.wrong for each in found if each.wrong} == {}
    assert [each.block.expression for each in found if not each.verified] == []


def test_textbook_gradients_are_derived_about_as_short() -> None:
    found = rows(BOOK)
    missing = {each.block.name: each.missing for each in found if each.missing}
    assert len(missing) <= 0.05 * len(found), missing
    long = {each.block.name: each.ratio for each in found if each.book and each.ratio > LONGER}
    assert len(missing) + len(long) <= 0.05 * len(found), long


def test_a_missing_text_has_a_reason() -> None:
    for each in [*rows(BOOK), *rows(WILD)]:
        assert all(each.missing.values())
        assert "internal error" not in str(each.missing)
