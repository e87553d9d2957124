"""docs/catalogue.md and docs/images/curves are the program's own; `python -m tests.docs.test_docs
--update` writes them.
"""

import re
from pathlib import Path

import pytest
import torch

from docs import catalogue, curves
from gradcli.catalogue.functions import ACTIVATIONS, LOSSES
from tests.choice import first_usual, in_rows
from tests.docs.test_docs import PIXEL, ROOT, current, printed

CONSTRAINTS = (ROOT / "constraints.txt").read_text(encoding="utf-8")
FUNCTIONS = [*ACTIVATIONS, *LOSSES]


PINNED = next(
    line.removeprefix("torch==") for line in CONSTRAINTS.splitlines() if line.startswith("torch==")
)


def current_where_pinned(path: Path, shown: str, slack: float = 1e-12) -> None:
    """Fail where a file is stale. What a slope at a kink is, is PyTorch's choice, so another
    version may show another one.
    """
    try:
        current(path, shown, slack)
    except pytest.fail.Exception:
        if torch.__version__.partition("+")[0] == PINNED:
            raise
        pytest.skip(
            f"made with PyTorch {PINNED}, and {torch.__version__} has other slopes at kinks"
        )


def test_the_catalogue_is_the_programs_own() -> None:
    current_where_pinned(catalogue.PAGE, catalogue.page(printed))


@pytest.mark.parametrize("name", first_usual(FUNCTIONS, in_rows(6, FUNCTIONS)))
def test_the_curve_is_the_programs_own(name: str) -> None:
    current_where_pinned(curves.path(name), curves.draw(name, printed), slack=PIXEL)


def test_there_are_no_other_curves() -> None:
    assert {path.stem for path in curves.path("relu").parent.iterdir()} == {*FUNCTIONS}


def test_a_curve_is_broken_where_it_jumps_and_nowhere_else() -> None:
    def pieces(name: str, colour: str) -> list[list[list[float]]]:
        path = re.search(rf'<path class="{colour}".* d="(.*)"', curves.draw(name, printed))
        assert path
        return [
            [[float(n) for n in point.split()] for point in piece.split("L")]
            for piece in path[1].split("M")[1:]
        ]

    assert [
        len(pieces(name, "cyan")) for name in ("relu", "hardshrink", "step", "bce", "poisson_nll")
    ] == [
        1,
        3,
        2,
        1,
        1,
    ]
    assert [len(pieces(name, "yellow")) for name in ("relu", "hardtanh", "gelu", "bce")] == [
        2,
        3,
        1,
        1,
    ]
    # sigmoid(0) = 0.5 and sigmoid(6) = 0.9975 on an axis from the least slope, 0.00247, to 0.9975.
    middle = next(
        y for x, y in pieces("sigmoid", "cyan")[0] if x == (curves.LEFT + curves.RIGHT) / 2
    )
    assert middle == pytest.approx((curves.TOP + curves.BOTTOM) / 2, abs=PIXEL)
    assert "<circle" in curves.draw("l1", printed)  # the slope 0 between -1 and 1
    assert "derivative" not in curves.draw("step", printed)
