"""The plotter by itself: numbers in, a drawing out, read back dot by dot."""

import math
import random

import pytest

from gradcli.show.pictures.axes import axis, span
from gradcli.show.pictures.canvas import Canvas, Pen
from gradcli.show.pictures.contour import levels
from gradcli.show.pictures.plotter import DASHED, Line, Panel, Window, draw, pen
from tools.drawings import panels

X = [i / 16 for i in range(-96, 97)]


def drawn(curve: Line) -> str:
    return draw(X, [Panel((curve,))], Window(80, 23))


def test_a_straight_line_is_one() -> None:
    (drawing,) = panels(drawn(Line("x", X)))
    columns = drawing.columns
    assert sorted(columns) == list(range(max(columns) + 1))  # no column is empty
    heights = [heights[0] for heights in columns.values()]
    assert heights == sorted(heights)
    assert max(len(column) for column in columns.values()) <= 2
    assert (min(heights), max(max(column) for column in columns.values())) == (
        0,
        4 * len(drawing.rows) - 1,
    )


def test_nothing_is_drawn_across_a_jump() -> None:
    step = [0.0 if x <= 0 else 1.0 for x in X]
    joined, apart = (panels(drawn(Line("step", step, jumps)))[0] for jumps in ((), (96,)))
    top = 4 * len(apart.rows) - 1
    assert {j for _, j in apart.dots} == {0, top}
    assert {j for _, j in joined.dots} == set(range(top + 1))


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 1e305])
def test_what_is_not_finite_is_a_gap(bad: float) -> None:
    (drawing,) = panels(drawn(Line("gap", [bad if -1 < x < 1 else x for x in X])))
    columns = set(drawing.columns)
    width = max(columns) + 1
    empty = set(range(width)) - columns
    assert empty
    assert min(empty) > width * 0.4
    assert max(empty) < width * 0.6
    assert len(empty) > width / 8


def test_a_kink_stays_sharp() -> None:
    (drawing,) = panels(drawn(Line("abs", [abs(x) for x in X])))
    lowest = [i for i, j in drawing.dots if j == 0]
    assert max(lowest) - min(lowest) <= 2
    assert abs(sum(lowest) / len(lowest) - max(i for i, _ in drawing.dots) / 2) <= 1


def test_a_pole_does_not_flatten_the_rest() -> None:
    y = [math.inf if x == 0 else 1 / x for x in X]
    low, high = span(y) or (0, 0)
    assert -6 < low < -2
    assert 2 < high < 6
    assert span([math.exp(x) for x in X]) == (math.exp(-6), math.exp(6))  # steep, but no pole
    spike = [1.0 if x == 0 else 0.0 for x in X]
    assert span(spike) == (0, 1)
    assert span([math.nan, math.inf]) is None


def test_a_single_point_between_gaps_is_a_dot() -> None:
    y = [0.0 if x == 0 else -1.0 if x < 0 else 1.0 for x in X]
    (drawing,) = panels(drawn(Line("sign", y, (95, 96))))
    middle = 4 * len(drawing.rows) / 2
    assert len([dot for dot in drawing.dots if abs(dot[1] - middle) < middle / 2]) == 1


@pytest.mark.parametrize("width", [12, 20, 40, 80, 200])
@pytest.mark.parametrize("height", [8, 20, 60])
@pytest.mark.parametrize("ascii_only", [False, True])
def test_the_picture_fits_its_window(width: int, height: int, ascii_only: bool) -> None:
    generator = random.Random(width * height)
    y = [generator.gauss(0, 1e4) for _ in X]
    several = tuple(Line(f"curve number {i}", [v * i for v in y], (), pen(i)) for i in range(4))
    window = Window(width, height, ascii_only=ascii_only)
    for found in ([Panel(several[:1])], [Panel(several, "value"), Panel(several, "derivative")]):
        lines = draw(X, found, window, along="a_rather_long_name").splitlines()
        assert max(map(len, lines)) <= width or width < 20
        assert len(lines) <= height or height == 8 or width <= 20  # there the legends alone fill it
        if ascii_only:
            assert all(line.isascii() for line in lines)


def test_colour_adds_codes_and_nothing_else() -> None:
    import re

    plain, coloured = (
        draw(
            X,
            [Panel((Line("a", X), Line("b", X[::-1], (), DASHED)))],
            Window(60, 12, colour=colour),
        )
        for colour in (False, True)
    )
    assert "\x1b[36m" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == plain


def test_lines_are_told_apart_without_colour() -> None:
    flat = [1.0] * len(X)
    solid, dashed = (
        panels(drawn(Line("flat", flat, (), collect_notes)))[0] for collect_notes in (Pen(), DASHED)
    )
    width = max(i for i, _ in solid.dots) + 1
    assert len(solid.columns) == width
    assert width * 0.4 < len(dashed.columns) < width * 0.6
    picture = draw(
        X, [Panel((Line("a", X, (), pen(0)), Line("b", flat, (), pen(1))))], Window(60, 12)
    )
    assert {"A", "B"} <= set("".join(panels(picture)[0].rows))


def test_lines_that_run_together_take_turns_in_ascii() -> None:
    both = tuple(Line(name, X, (), pen(i)) for i, name in enumerate("ab"))
    picture = draw(X, [Panel(both)], Window(60, 12, ascii_only=True))
    body = "".join(line for line in picture.splitlines()[1:] if "|" in line)
    assert body.count("A") > 5
    assert body.count("B") > 5


@pytest.mark.parametrize(
    ("low", "high", "most", "labels"),
    [
        (-6, 6, 7, ["-6", "-4", "-2", "0", "2", "4", "6"]),
        (0, 1, 5, ["0", "0.2", "0.4", "0.6", "0.8", "1"]),
        (0, 1000, 4, ["0", "500", "1000"]),
        (1e-7, 4e-7, 3, ["1e-07", "2e-07", "3e-07", "4e-07"]),
        (1_000_000.25, 1_000_001.0, 2, ["1000000.5", "1000001"]),
        (2, 2, 3, ["1", "2", "3"]),
    ],
)
def test_ticks_are_round_and_their_labels_tell_them_apart(
    low: float, high: float, most: int, labels: list[str]
) -> None:
    found = axis(low, high, most)
    assert [found.label(tick) for tick in found.ticks] == labels
    assert [float(label) for label in labels] == pytest.approx(list(found.ticks))


@pytest.mark.parametrize("scale", [5e-324, 1e-300, 1e-12, 1.0, 1e12, 1e299])
def test_any_size_of_number_has_an_axis(scale: float) -> None:
    picture = drawn(Line("y", [x * scale for x in X]))
    assert len(picture.splitlines()) <= 23
    assert max(map(len, picture.splitlines())) <= 80


def test_contour_levels_are_round_and_inside() -> None:
    found = levels([x * x + y * y for x in X for y in X])
    assert found == [10, 20, 30, 40, 50, 60, 70]
    assert levels([float(10**k) for k in range(6)] * 3) == [
        10,
        30,
        100,
        300,
        1000,
        3000,
        10000,
        30000,
    ]
    assert levels([1.0, 1.0]) == []
    assert levels([]) == []


def test_a_canvas_drops_what_lies_outside() -> None:
    canvas = Canvas(4, 2, ascii_only=False)
    canvas.line((-10, -10), (30, 30), Pen())
    assert "".join(cell.char for cell in canvas.lines()[1]) == "⡠⠊  "
