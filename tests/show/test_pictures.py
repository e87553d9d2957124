"""Pictures in files: what they draw is read back from the SVG by the numbers at its axes, and compared
with JSON or a closed form; their size, their title, the same bytes each time; errors.
"""

import re
import struct
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from itertools import pairwise
from math import isclose, log10
from pathlib import Path
from typing import Any

import pytest

from tests.choice import rare
from tests.program import Ran, run

SVG = "{http://www.w3.org/2000/svg}"
SUPERSCRIPTS = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")
NET = "nn.Sequential(nn.Linear(4,9), nn.Sigmoid(), nn.Linear(9,1))"
TITLED = ("plot", "relu", "--title")
VALLEY = ("descend", "x**2 + 10*y**2", "x=4", "y=1", "--lr", "0.09", "--steps", "40")

Points = list[tuple[float, float]]


@dataclass
class Drawn:
    """One panel of a picture: its lines and the marks of each in the numbers at its axes, and its texts."""

    lines: list[Points]
    marks: list[Points]
    contours: list[Points]
    texts: list[str]


def draw(*words: str, cwd: Path, name: str = "a.svg") -> Path:
    shown = run(*words, "--quiet", "--out", name, cwd=str(cwd))
    assert shown == Ran(f"wrote {name}\n", "", 0)
    return cwd / name


def panels(path: Path) -> list[Drawn]:
    return [_panel(group) for group in _parsed(path).iter(f"{SVG}g") if _name(group) == "axes"]


def _parsed(path: Path) -> Any:
    return ET.parse(path, ET.XMLParser(target=ET.TreeBuilder(insert_comments=True)))


def _name(group: Any) -> str:
    return re.sub(r"_\d+$", "", group.get("id", ""))


def _texts(group: Any) -> list[str]:
    return [part.text.strip() for part in group.iter() if part.tag is ET.Comment]


def _panel(group: Any) -> Drawn:
    across, up = (
        _scale(group, ticks, letter) for ticks, letter in (("xtick", "x"), ("ytick", "y"))
    )
    found = Drawn([], [], [], _texts(group))
    for child in group:
        paths = child.findall(f"{SVG}path")
        if _name(child) == "line2d" and paths:
            found.lines.append([(across(x), up(y)) for path in paths for x, y in _points(path)])
        if _name(child) == "line2d":
            uses = [(float(use.get("x")), float(use.get("y"))) for use in child.iter(f"{SVG}use")]
            found.marks.append([(across(x), up(y)) for x, y in uses])
        if _name(child) == "QuadContourSet" and "fill: none" in paths[0].get("style", ""):
            found.contours += [[(across(x), up(y)) for x, y in _points(path)] for path in paths]
    return found


def _points(path: Any) -> Points:
    pairs = re.findall(r"[ML] (-?[\d.]+) (-?[\d.]+)", path.get("d", ""))
    return [(float(x), float(y)) for x, y in pairs]


def _scale(group: Any, ticks: str, letter: str) -> Any:
    """From a place in the SVG to the number there, by two labels: a power of ten has a log scale."""
    labels = []
    for tick in (part for part in group.iter(f"{SVG}g") if _name(part) == ticks):
        use = next(tick.iter(f"{SVG}use"), None)
        if use is not None and (text := _texts(tick)):
            labels.append((float(use.get(letter)), text[0]))
    logarithmic = any(
        text.startswith("10") and text[2:].translate(SUPERSCRIPTS) != text[2:] for _, text in labels
    )
    if logarithmic:
        labels = [
            (place, text[2:].translate(SUPERSCRIPTS))
            for place, text in labels
            if text.startswith("10")
        ]
    ends = [(place, float(text)) for place, text in labels if re.fullmatch(r"-?[\d.]+", text)]
    if not ends:  # names
        return float
    (low, first), (high, last) = ends[0], ends[-1]

    def number(place: float) -> float:
        found = first + (place - low) / (high - low) * (last - first)
        return 10**found if logarithmic else float(found)

    return number


def assert_line(line: Points, expected: Points) -> None:
    """The points, to a thousandth: a place in the SVG has six decimals."""
    assert len(line) == len(expected)
    spread = max(abs(y) for _, y in expected)
    for (x, y), (a, b) in zip(line, expected, strict=True):
        assert isclose(x, a, abs_tol=0.01)
        assert isclose(y, b, rel_tol=2e-3, abs_tol=2e-3 * spread if spread < 1e3 else 0)


def test_flow_draws_the_norms_of_json(tmp_path: Path) -> None:
    words = ("flow", "sigmoid", "relu", "--layers", "12")
    (panel,) = panels(draw(*words, cwd=tmp_path))
    rows = run(*words, "--json").json["layers"]
    for line, name in zip(panel.lines, ("sigmoid", "relu"), strict=True):
        norms = [(row["layer"], row["gradient_norm"]) for row in rows if row["activation"] == name]
        for (x, y), (layer, norm) in zip(line, norms, strict=True):
            assert isclose(x, layer, abs_tol=0.01)
            assert isclose(y, norm, rel_tol=1e-3)
    assert any(re.fullmatch(r"sigmoid, factor 0\.\d+ per layer", text) for text in panel.texts)


def test_a_network_is_drawn_by_the_names_of_its_layers(tmp_path: Path) -> None:
    words = ("flow", "--net", NET, "--x", "randn(64,4)")
    (panel,) = panels(draw(*words, cwd=tmp_path))
    rows = run(*words, "--json").json["layers"]
    outputs, weights = ([y for _, y in marks] for marks in panel.marks)
    assert outputs == pytest.approx([row["gradient_norm"] for row in rows], rel=1e-3)
    found = [row["weight_gradient_norm"] for row in rows]
    assert weights == pytest.approx([norm for norm in found if norm is not None], rel=1e-3)
    names = [text for text in panel.texts if text.startswith("net")]
    assert names == ["net[0] Linear", "net[1] Sigmoid", "net[2] Linear"]


def test_what_is_exactly_0_or_not_finite_is_marked_at_the_edge(tmp_path: Path) -> None:
    words = ("flow", "sigmoid", "--layers", "90", "--width", "8")
    (panel,) = panels(draw(*words, cwd=tmp_path))
    norms = [row["gradient_norm"] for row in run(*words, "--json").json["layers"]]
    zeros = norms.count(0)
    assert 0 < zeros < 90
    assert len(panel.lines[0]) == 90 - zeros
    assert len(panel.marks[-1]) == zeros
    assert "exactly 0" in panel.texts
    assert len({y for _, y in panel.marks[-1]}) == 1
    _, value = panels(draw("descend", "x**4", "x=2", "--lr", "1", cwd=tmp_path))
    assert "not finite" in value.texts
    assert value.lines[0][0][1] == pytest.approx(16, rel=1e-3)


def test_descend_draws_every_step(tmp_path: Path) -> None:
    words = (
        "descend",
        "mse(X@w, y)",
        "X=1,2,0;0,1,1;2,0,1;1,1,1",
        "y=1,2,3,4",
        "w=0,0,1",
        "--wrt",
        "w",
        "--steps",
        "30",
    )
    above, below = panels(draw(*words, cwd=tmp_path))
    steps = run(*words, "--json").json["steps"]
    assert_line(below.lines[0], [(step["step"], step["value"]) for step in steps])
    for place, line in enumerate(above.lines):
        assert_line(line, [(step["step"], step["parameters"]["w"][place]) for step in steps])
    assert {"w[0]", "w[1]", "w[2]"} <= {*above.texts}


def test_two_numbers_go_over_the_contours_of_the_function(tmp_path: Path) -> None:
    path = draw(*VALLEY, cwd=tmp_path)
    above, below = panels(path)
    steps = run(*VALLEY, "--json").json["steps"]
    way = [(step["parameters"]["x"], step["parameters"]["y"]) for step in steps]
    assert_line(next(line for line in above.lines if len(line) == 41), way)
    assert len(above.contours) > 4
    for line in above.contours:
        (level,) = {round(x**2 + 10 * y**2, 0) for x, y in line}
        assert level % 5 == 0
    values = [step["value"] for step in steps]
    assert below.lines[0][-1][1] == pytest.approx(values[-1], rel=1e-2)
    assert log10(values[0] / values[-1]) > 3


def test_one_number_goes_down_its_curve(tmp_path: Path) -> None:
    words = ("descend", "(x - 3)**2", "x=0", "--steps", "20")
    curve, path, *_ = panels(draw(*words, cwd=tmp_path))[0].lines
    assert len(curve) > 20
    for x, y in curve:
        assert y == pytest.approx((x - 3) ** 2, abs=0.02)
    steps = run(*words, "--json").json["steps"]
    assert_line(path, [(step["parameters"]["x"], step["value"]) for step in steps])
    assert all(before[0] < after[0] for before, after in pairwise(path))


@pytest.mark.parametrize(
    ("words", "name", "start"),
    [
        (("flow", "relu", "--layers", "4"), "a.svg", b"<?xml"),
        (("descend", "x**2", "x=1", "--steps", "3"), "a.pdf", b"%PDF"),
        rare(VALLEY, "a.pdf", b"%PDF"),
    ],
)
def test_a_picture_has_the_same_bytes_each_time(
    words: tuple[str, ...], name: str, start: bytes, tmp_path: Path
) -> None:
    first, second = (draw(*words, cwd=tmp_path, name=name).read_bytes() for _ in range(2))
    assert first == second
    assert first.startswith(start)


def size(path: Path) -> tuple[int, ...]:
    """Width and height in a PNG's header."""
    return struct.unpack(">II", path.read_bytes()[16:24])


def test_a_picture_has_the_size_and_the_title_that_were_asked_for(tmp_path: Path) -> None:
    assert size(draw("plot", "relu", "--size", "7x4", cwd=tmp_path, name="a.png")) == (1050, 600)
    assert size(draw("flow", "relu", "--size", "3.5x10", cwd=tmp_path, name="b.png")) == (525, 1500)
    svg = draw(*TITLED, "a $x_1$ & <y>\x07", "--size", "5x2.5", cwd=tmp_path)
    assert 'width="360pt" height="180pt"' in svg.read_text(encoding="utf-8")
    assert r"a $x_1$ &amp; &lt;y&gt;\x07" in texts(svg)
    assert "x**2 = 1 after 0 steps of SGD(lr=0.1)" in texts(
        draw("descend", "x**2", "x=1", "--steps", "0", cwd=tmp_path)
    )
    assert "x*y" in texts(draw("plot", "x*y", "x=0,1,2", "y=0,1,2", cwd=tmp_path))
    untitled = draw("plot", "x*y", "x=0,1,2", "y=0,1,2", "--title", "", cwd=tmp_path)
    assert "x*y" not in texts(untitled)
    wrapped = texts(draw(*TITLED, "two-words " * 20, cwd=tmp_path))
    assert sum(text.count("two-words") for text in wrapped) == 20
    assert max(text.count("two-words") for text in wrapped) < 12
    pdf = draw(*TITLED, "two words", cwd=tmp_path, name="a.pdf").read_bytes()
    assert b"(two words)" in pdf


def texts(path: Path) -> list[str]:
    return _texts(_parsed(path).getroot())


def test_a_title_may_have_letters_that_matplotlibs_font_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = run(*TITLED, "梯度", "--out", "a.png", cwd=str(tmp_path))
    assert (shown.status, shown.stderr) == (0, "") or "no font of this machine" in shown.stderr
    monkeypatch.setattr("matplotlib.font_manager.findSystemFonts", list)
    shown = run(*TITLED, "梯度", "--out", "b.png", cwd=str(tmp_path), here=True)
    assert shown.status == 2
    assert "no font of this machine has '度'" in shown.stderr
    assert not (tmp_path / "b.png").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["flow", "--title", "x"], "--title requires --out with a picture"),
        (["descend", "x**2", "x=1", "--size", "3x3", "--json"], "--size requires --out with a picture"),
        (["plot", "relu", "--size", "3x3", "--out", "a.json"], "--size requires --out with a picture"),
        (["plot", "relu", "--size", "300x2", "--out", "a.png"], "each from 2 to 40"),
        (["plot", "relu", "--size", "7,4", "--out", "a.png"], "for example 7x4.2"),
        (["plot", "relu", "--size", "", "--out", "a.png"], "for example 7x4.2"),
        (["grad", "x**2", "x=1", "--title", "x"], "there is no option --title"),
        (["flow", "--check", "--out", "a.png"], "--check cannot be used with a .png file"),
        (["flow", "--precision", "3", "--out", "a.png"], "--precision applies to tables"),
    ],
)  # fmt: skip
def test_errors_say_what_to_do(words: list[str], said: str, tmp_path: Path) -> None:
    shown = run(*words, cwd=str(tmp_path))
    assert (shown.stdout, shown.status) == (
        "",
        2,
    )
    assert said in shown.stderr
    assert not [*tmp_path.iterdir()]


def test_help_and_batch_know_the_options(tmp_path: Path) -> None:
    for command in ("plot", "descend", "flow"):
        page = run(command, "--help").stdout
        assert "--title TEXT" in page
        assert "--size WxH" in page
        assert ".png, .svg, .pdf" in page
    assert "--size" not in run("grad", "--help").stdout
    jobs = '{"command": "flow", "size": "3x3"}\n{"command": "flow", "title": "a"}\n'
    lines = run("batch", stdin=jobs).stdout.splitlines()
    assert len(lines) == 2
    assert all("a job cannot have" in line for line in lines)
