"""`derive` on gradients that textbooks print, and on expressions that nobody printed: every text
that it shows equals autograd's gradient, evaluated by plain Python and PyTorch at new points and at
other sizes.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import torch

from gradcli.evaluate.job import default_dtype
from tests.choice import Choose, first_usual, in_rows, rare
from tests.program import run
from tools import random_formulas
from tools.derivations import LONGER, Block, Row, blocks, book_row, read, row, wrong

BOOK, WILD = "derivations.txt", "formulas_wild.txt"
MISSING = {
    "trace of the exponential", "x.median() + x.sort().values[0]", "A[A > 0].sum()", "conv1d(x, w).sum()",
    "norm(A, 'nuc') + linalg.norm(A, 2)", "linalg.cholesky(A @ A.T + eye(2)).sum()",
    "x % 2 + floor(x/2)",
}  # fmt: skip
"""Blocks of which a gradient has no formula."""
LONG = {"tanh by exponentials", "swish", "determinant of a product", "linear policy"}
"""Blocks whose texts are longer than the textbook's."""
BLOCKS = [*read(BOOK), *read(WILD)]


def given(blocks: Sequence[Block]) -> list[Row]:
    with default_dtype(torch.float64):
        return [row(*each) for each in zip(blocks, answers(blocks), strict=True)]


def answers(blocks: Sequence[Block]) -> Iterator[dict[str, Any]]:
    ran = run("batch", "--jobs", "1", stdin="".join(json.dumps(each.job) + "\n" for each in blocks))
    assert ran.status in (0, 1), ran.stderr
    return map(json.loads, ran.stdout.splitlines())


def test_the_textbooks_are_right(double: None, choose: Choose[Block]) -> None:
    book = [*read(BOOK)]
    assert len({each.name for each in book}) == len(book) >= 100
    judged = map(book_row, choose(book, in_rows(8, book)))
    assert {each.block.name: each.wrong for each in judged if each.wrong} == {}


@pytest.mark.parametrize(
    "block", first_usual(BLOCKS, in_rows(12, BLOCKS)), ids=lambda block: block.name
)
def test_every_text_is_the_gradient(block: Block) -> None:
    """Those of the textbooks are about as short as there, and what is missing has a reason."""
    (found,) = given([block])
    assert found.wrong == {}
    assert found.verified
    assert bool(found.missing) == (block.name in MISSING)
    assert all(found.missing.values())
    assert "internal error" not in str(found.missing)
    if found.book and not found.missing:
        assert (found.ratio > LONGER) == (block.name in LONG)


def test_the_check_sees_a_small_factor_and_a_size_that_is_written_as_a_number(
    double: None,
) -> None:
    for block in read(BOOK)[::12]:
        texts = {
            name: f"1.000001*({text})" for name, text in block.gradients.items() if ";" not in text
        }
        assert wrong(block, texts, {}).keys() == texts.keys(), block.name
    (block,) = (each for each in read(BOOK) if each.name == "mean squared error by the bias")
    assert wrong(block, {"b": "2*sum(X @ w + b - y)/len(y)"}, {}) == {}
    assert wrong(block, {"b": "2*sum(X @ w + b - y)/5"}, {}).keys() == {"b"}


@pytest.mark.parametrize("number", [5, rare(30)])
def test_random_expressions(number: int) -> None:
    """Elementwise functions, products, reductions, indices and steps, drawn at random."""
    wanted = [*random_formulas.blocks(11, number)]
    with default_dtype(torch.float64):
        rows = random_formulas.judged(wanted, answers(wanted))
    assert {each.block.expression: each.wrong for each in rows if each.wrong} == {}
    assert sum(len(each.texts) for each in rows) >= 100 * number / 30
    assert sum(len(each.missing) for each in rows) <= number / 2


AT_ZEROS = """
prod(x)
x=2,0,3

A.prod(1)
A=2,0;3,4

x/norm(x)
x=0,2

abs(x)*x
x=0,2

x**2*sign(x)
x=0,2

sqrt(x**2 + 1)*relu(x)
x=0,2

where(x > 0, x**2, 0)
x=0,2
"""


def test_a_formula_is_right_at_zeros_or_a_note_says_that_it_is_not() -> None:
    """Random points have no zero in them, but the given numbers may."""
    found = given([*blocks(AT_ZEROS)])
    silent = [each for each in found if "kink" not in each.notes]
    assert {each.block.expression: each.wrong for each in silent if each.wrong} == {}
