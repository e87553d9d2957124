"""`plot`: its numbers against closed forms, its pictures as a user's terminal or file has them, its
errors.
"""

import fcntl
import math
import os
import re
import struct
import termios
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from io import StringIO
from itertools import pairwise, starmap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gradcli import core
from gradcli.catalogue.functions import ACTIVATIONS, CATALOGUE, LOSSES
from gradcli.catalogue.ranges import PROBABILITIES
from gradcli.evaluate import curves
from gradcli.language.calls import Call
from gradcli.options import shared
from gradcli.world import World
from tests.choice import rare
from tests.closed_forms import evaluated
from tests.program import TORCH, Ran, cold, run
from tools.drawings import panels

ASCII = {"LC_ALL": "C", "PYTHONIOENCODING": "ascii"}
NUMBERS = [*ACTIVATIONS, *LOSSES]
GRID = ("x=linspace(-2,2,9)", "y=linspace(-1,1,5)")


def refused(*words: str) -> str:
    shown = run("plot", *words)
    assert (shown.status, shown.stdout) == (2, ""), shown
    assert shown.stderr.startswith("error: ")
    assert "Traceback" not in shown.stderr
    return shown.stderr


# numbers


def test_a_curve_and_its_derivative() -> None:
    found = run(
        "plot", "sin(w*x)", "x=linspace(-5,5,200)", "w=2", "--dtype", "float64", "--json"
    ).json
    (curve,) = found["curves"]
    assert set(found) == {"command", "dtype", "inputs", "defaults", "notes", "x", "curves"}
    assert (found["command"], curve["name"], found["inputs"]["w"]) == ("plot", "sin(w*x)", 2.0)
    assert found["x"] == found["inputs"]["x"] == pytest.approx(np.linspace(-5, 5, 200).tolist())
    assert curve["value"] == pytest.approx([math.sin(2 * x) for x in found["x"]])
    assert curve["derivative"] == pytest.approx([2 * math.cos(2 * x) for x in found["x"]])


def test_functions_of_x_alone_go_over_one_range() -> None:
    found = run("plot", "sigmoid", "leaky_relu(0.2)", "x**3", "--json").json
    x = found["x"]
    assert (x[0], x[-1], found["defaults"]) == (-6.0, 6.0, ["x"])
    assert {0.0, 1.0, -1.0, 0.0625} <= set(x)
    assert [curve["name"] for curve in found["curves"]] == ["sigmoid", "leaky_relu(0.2)", "x**3"]
    s = 1 / (1 + np.exp(-np.array(x)))
    assert found["curves"][0]["value"] == pytest.approx(s.tolist(), rel=1e-6)
    assert found["curves"][0]["derivative"] == pytest.approx((s * (1 - s)).tolist(), rel=1e-4)
    assert found["curves"][1]["derivative"] == pytest.approx([1.0 if a > 0 else 0.2 for a in x])
    assert found["curves"][2]["derivative"] == pytest.approx([3 * a**2 for a in x], rel=1e-6)


def test_the_numbers_are_those_of_grad_point_by_point() -> None:
    words = ("exp(-x**2)*sin(5*x)", "x=linspace(-2,2,21)")
    (curve,) = run("plot", *words, "--json").json["curves"]
    rows = run("grad", *words, "--each", "x", "--json").json["rows"]
    assert curve["value"] == [row["value"] for row in rows]
    assert curve["derivative"] == [row["gradients"]["x"] for row in rows]


@pytest.mark.parametrize(
    "text",
    [
        "x**3 - 2*x/(1 + x**2) % 2",
        rare("h = exp(-x**2); h*sin(5*x)"),
        rare("where(x > 0, relu(x), 0.1*x)"),
        "np.sqrt(x.abs()) + gelu(x, approximate='tanh')",
        "clamp(x, -1, 1)*floor(3*x) + math.pi",
    ],
)
def test_all_points_at_once_have_the_numbers_of_one_by_one(text: str) -> None:
    """A sum over one point changes nothing but how the points are computed."""
    x = "x=linspace(-2,2,17)"
    for y in ("y=1", "y=-1,0,1"):
        together, apart = (
            run("plot", f"{text} + x*y{more}", x, y, "--dtype", "float64", "--json").json
            for more in ("", " + 0*x.sum()")
        )
        if y == "y=1":
            ((one, *_), (other, *_)) = together["curves"], apart["curves"]
            pairs = [(one["derivative"], other["derivative"])]
        else:
            one, other = together, apart
            pairs = [(one["gradients"][name], other["gradients"][name]) for name in "xy"]
        for found, expected in [(one["value"], other["value"]), *pairs]:
            known = np.array(expected, float)
            assert np.array(found, float) == pytest.approx(known, rel=1e-12, abs=1e-12, nan_ok=True)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("x*x.sum()", 4),
        ("x - x.mean()", 0),
        ("softmax(x, 0)", 1),
        ("x*x.numel()", 2),
        ("norm(x)", 2),
    ],
)
def test_what_mixes_points_is_computed_one_by_one(text: str, value: float) -> None:
    (curve,) = run("plot", text, "x=-2,0,2", "--json").json["curves"]
    assert curve["value"][-1] == value


def test_the_points_keep_their_order() -> None:
    found = run("plot", "x**2", "x=3,-1,2", "--json").json
    assert (found["x"], found["curves"][0]["value"]) == ([3.0, -1.0, 2.0], [9.0, 1.0, 4.0])


def test_a_function_without_derivative_has_its_value() -> None:
    for word in ("step", "where(x > 0, 1.0, 0.0)"):
        found = run("plot", word, "--json").json
        assert found["curves"][0]["derivative"] is None
        assert found["curves"][0]["value"] == [float(x > 0) for x in found["x"]]
        assert [note["code"] for note in found["notes"]] == ["no-derivative"]


@pytest.mark.parametrize(
    ("name", "value", "slope"),
    [
        ("mse", lambda x: x * x, lambda x: 2 * x),
        ("half_sse", lambda x: x * x / 2, lambda x: x),
        ("l2_norm", abs, lambda x: (x > 0) - (x < 0)),
        (
            "huber(delta=2)",
            lambda x: x * x / 2 if abs(x) < 2 else 2 * abs(x) - 2,
            lambda x: max(-2.0, min(2.0, x)),
        ),
        ("bce_with_logits", lambda x: math.log1p(math.exp(-x)), lambda x: -1 / (1 + math.exp(x))),
        ("hinge_embedding", lambda x: max(0, 1 - x), lambda x: -1.0 if x < 1 else 0.0),
        ("mse(reduction=sum)", lambda x: x * x, lambda x: 2 * x),
    ],
)
def test_a_loss_goes_over_pred(name: str, value: Any, slope: Any) -> None:
    found = run("plot", name, "--json").json
    (curve,) = found["curves"]
    assert curve["name"] == name
    for x, y, derivative in zip(found["x"], curve["value"], curve["derivative"], strict=True):
        assert y == pytest.approx(value(x), rel=1e-5, abs=1e-6)
        if name != "hinge_embedding" or x != 1:
            assert derivative == pytest.approx(slope(x), rel=1e-5, abs=1e-6)
    assert re.search(r"target -?[01]", run("plot", name).stdout)


def test_two_ranges_have_a_row_for_each_point_of_the_first() -> None:
    found = run("plot", "x**2*y + w", *GRID, "w=3", "--dtype", "float64", "--json").json
    x, y = np.linspace(-2, 2, 9)[:, None], np.linspace(-1, 1, 5)[None, :]
    assert list(found["x"]) == ["x", "y"]
    assert np.array(found["value"]) == pytest.approx(x**2 * y + 3)
    assert np.array(found["gradients"]["x"]) == pytest.approx(2 * x * y)
    assert np.array(found["gradients"]["y"]) == pytest.approx(np.broadcast_to(x**2, (9, 5)))


def test_two_numbers_are_the_ends_of_a_range() -> None:
    found = run("plot", "relu(w*x)", "x=-2,2", "w=3", "--json").json
    x = found["x"]
    assert (
        x == found["inputs"]["x"] == np.linspace(-2, 2, 129).tolist()
    )  # powers of two: 0 and the kink are exact
    assert found["curves"][0]["value"] == [max(3 * at, 0.0) for at in x]
    assert found["curves"][0]["derivative"] == [3.0 * (at > 0) for at in x]
    assert found["notes"] == []  # the kink lies at a point that nobody gave
    assert run("plot", "relu(w*x)", "x=2,-2", "w=3", "--get", "x").json == x[::-1]
    assert (
        run("plot", "sin(x)", "x=-6,6", "--get", "x").json
        == run("plot", "sigmoid", "--get", "x").json
    )
    uneven = run(
        "plot", "log(x)", "x=-", "--dtype", "float64", "--get", "x", stdin="0.1\n0.4\n"
    ).json
    assert uneven == pytest.approx(np.linspace(0.1, 0.4, 193).tolist())
    assert run("plot", "log(x)", "x=1,2,4", "--get", "x").json == [1, 2, 4]


def test_two_ranges_by_their_ends_are_a_grid() -> None:
    found = run("plot", "x*y + c", "x=-2,2", "y=3,-1", "c=1", "--json").json
    x, y = np.array(found["x"]["x"]), np.array(found["x"]["y"])
    assert (x[0], x[-1], y[0], y[-1]) == (-2, 2, 3, -1)
    assert min(len(x), len(y)) > 32
    assert found["value"] == (x[:, None] * y + 1).tolist()
    assert found["gradients"]["x"] == np.broadcast_to(y, (len(x), len(y))).tolist()
    given = run("plot", "x*y", "x=-2,2", "y=1,2,3", "--json").json["x"]
    assert (given["x"], given["y"]) == (x.tolist(), [1, 2, 3])


def test_data_of_two_numbers_are_no_range_where_wrt_says_what_is() -> None:
    found = run("plot", "mse(w*x, y)", "w=-1,3", "x=1,2", "y=2,4", "--wrt", "w", "--json").json
    assert (len(found["x"]), found["inputs"]["y"]) == (129, [2, 4])
    assert found["curves"][0]["value"] == pytest.approx([2.5 * (w - 2) ** 2 for w in found["x"]])


def test_wrt_says_which_input_is_the_range() -> None:
    words = ("mse(w*x, y)", "w=linspace(-1,3,5)", "x=1,2", "y=2,4")
    (curve,) = run("plot", *words, "--wrt", "w", "--json").json["curves"]
    assert curve["value"] == [2.5 * (w - 2) ** 2 for w in (-1, 0, 1, 2, 3)]
    assert curve["derivative"] == [5.0 * (w - 2) for w in (-1, 0, 1, 2, 3)]
    assert "--wrt w" in refused(*words)


def test_expressions_from_a_file_and_from_standard_input(tmp_path: Path) -> None:
    (tmp_path / "f.py").write_text("n = x**2\nn + 1\n", encoding="utf-8")
    assert run("plot", "@f.py", "x=1,2,3", "--get", "curves.0.value", cwd=str(tmp_path)).json == [
        2,
        5,
        10,
    ]
    assert run("plot", "-", "x=1,2,3", "--get", "curves.0.value", stdin="x**3").json == [1, 8, 27]
    assert run("plot", "x**2", "x=-", "--get", "curves.0.value", stdin="1\n2\n3\n").json == [
        1,
        4,
        9,
    ]


def test_csv_has_a_row_for_each_point() -> None:
    assert (
        run("plot", "t**2", "t=1,2,3", "--csv").stdout
        == "t,t**2,d_t**2\n1.0,1.0,2.0\n2.0,4.0,4.0\n3.0,9.0,6.0\n"
    )
    lines = run("plot", "x*y", *GRID, "--csv").stdout.splitlines()
    assert lines[:3] == ["x,y,value,d_x,d_y", "-2.0,-1.0,2.0,-1.0,-2.0", "-2.0,-0.5,1.0,-0.5,-2.0"]
    assert len(lines) == 46


def test_arrays_in_files(tmp_path: Path) -> None:
    for out in ("one.npz", "one.npy"):
        assert (
            run("plot", "x**2", "x=1,2,3", "--out", out, cwd=str(tmp_path)).stdout
            == f"wrote {out}\n"
        )
    with np.load(tmp_path / "one.npz") as found:
        assert {name: array.tolist() for name, array in found.items()} == {
            "x": [1.0, 2.0, 3.0], "curves.0.value": [1.0, 4.0, 9.0], "curves.0.derivative": [2.0, 4.0, 6.0],
        }  # fmt: skip
    assert np.load(tmp_path / "one.npy").tolist() == [1.0, 4.0, 9.0]
    run("plot", "x*y", *GRID, "--out", "two.npz", cwd=str(tmp_path))
    with np.load(tmp_path / "two.npz") as found:
        assert set(found) == {"x.x", "x.y", "value", "gradients.x", "gradients.y"}
        assert found["gradients.x"].shape == (9, 5)


# evidence


@pytest.mark.parametrize(
    "name",
    [
        name if name in ("step", "hardshrink", "mse") else rare(name)
        for name in NUMBERS
        if CATALOGUE[name].mixes != "row" and name not in PROBABILITIES
    ],
)
def test_every_function_is_checked_along_its_curve_against_its_closed_form(name: str) -> None:
    shown = run("plot", name, "--check")
    assert shown.status == 0, shown.stdout
    if name == "step":
        assert "none: PyTorch has no derivative of this function" in shown.stdout
    else:
        assert "Check: passes" in shown.stdout
        assert "closed form" in shown.stdout
        assert "wrong" not in shown.stdout


def test_a_check_goes_point_by_point_and_names_a_kink() -> None:
    words = ("plot", "relu(x)*y.sum()", "x=-1,0,2", "y=1,2", "--wrt", "x", "--check")
    assert run(*words, "--json").json["check"] == {
        "x": {"max_abs_error": 0.0, "max_rel_error": 0.0, "ok": True}
    }
    rows = [
        line.strip("│").split("│")
        for line in run(*words).stdout.splitlines()
        if line.startswith("│ x[")
    ]
    assert [(row[0].strip(), row[-1].strip()) for row in rows] == [
        ("x[0]", "ok"),
        ("x[1]", "kink"),
        ("x[2]", "ok"),
    ]
    assert [float(row[1]) for row in rows] == [0, 0, 3]


def test_a_check_of_several_curves_and_of_two_ranges_has_a_name_for_each_slope() -> None:
    assert set(run("plot", "tanh", "x**2", "--check", "--json").json["check"]) == {
        "tanh.x",
        "x**2.x",
    }
    found = run("plot", "x*y**2", *GRID, "--check", "--json").json
    assert (set(found["check"]), found["ok"]) == ({"x", "y"}, True)


def test_a_wrong_slope_along_a_curve_ends_with_1(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = core.gradients

    def wrong(*args: Any, **more: Any) -> Any:
        return {
            name: None if slope is None else 1.01 * slope
            for name, slope in honest(*args, **more).items()
        }

    monkeypatch.setattr(core, "gradients", wrong)
    shown = run("plot", "x**3", "x=1,1.5,2", "--check", "--json", here=True)
    assert (shown.status, shown.json["check"]["x"]["ok"], shown.json["ok"]) == (1, False, False)


@pytest.mark.parametrize(
    ("expected", "status", "slip"),
    [
        ("x=-1,0,2", 0, None),
        ("-2,0,4", 0, None),
        ("derivative=-2,0,4", 0, None),
        ("derivative.2=4", 0, None),
        ("curves.0.value.2=4", 0, None),
        ("curves.0.derivative.2=-4", 1, "sign"),
        ("curves.0.derivative.2=2", 1, "factor-half"),
        ("curves.0.value=1,0,5", 1, None),
    ],
)
def test_expectations_along_a_curve(expected: str, status: int, slip: str | None) -> None:
    shown = run("plot", "x**2", "x=-1,0,2", "--expect", expected, "--json")
    (found,) = shown.json["expect"].values()
    assert (shown.status, found["slip"], shown.json["ok"]) == (status, slip, not status)


def test_expectations_of_a_surface_and_of_one_of_several_curves() -> None:
    shown = run(
        "plot",
        "x*y**2",
        *GRID,
        "--expect",
        "gradients.y.8.4=4",
        "--expect",
        "value.8.4=-2",
        "--json",
    )
    assert {key: each["slip"] for key, each in shown.json["expect"].items()} == {
        "gradients.y.8.4": None, "value.8.4": "sign",
    }  # fmt: skip
    assert (
        run("plot", "sigmoid", "tanh", "--expect", "curves.1.value.96=0", "--get", "ok").stdout
        == "true\n"
    )


def test_evidence_stands_below_the_picture_in_few_lines() -> None:
    picture, shown = (
        run("plot", "relu").stdout,
        run("plot", "relu", "--check", "--expect", "derivative.192=1").stdout,
    )
    assert shown.startswith(picture)
    assert "\nAs expected\n" in shown
    assert len(shown[len(picture) :].splitlines()) < 40
    assert len(run("plot", "relu", "--check", "--full").stdout.splitlines()) > 193


def test_what_is_not_finite_is_noted_with_its_cause() -> None:
    shown = run("plot", "1/x", "x=linspace(-1,1,5)")
    assert "1 / 0 = inf came first" in shown.stderr
    assert run("plot", "sigmoid", "relu", "sin(x)").stderr == ""


# jumps


@pytest.mark.parametrize("dtype", [torch.float32, rare(torch.float64), torch.bfloat16])
@pytest.mark.parametrize(
    "name", [n for n in NUMBERS if CATALOGUE[n].mixes != "row" and n not in PROBABILITIES]
)
def test_the_catalogue_jumps_where_it_should(name: str, dtype: torch.dtype) -> None:
    x = torch.linspace(-6, 6, 193, dtype=dtype)
    curve = curves.of_call(Call(name, CATALOGUE[name]), x)
    jumping = {"step": {0.0}, "hardshrink": {-0.5, 0.5}}.get(name, set())
    assert len(curve.jumps) == len(jumping)
    assert all(
        x[i] <= place <= x[i + 1] for i, place in zip(curve.jumps, sorted(jumping), strict=True)
    )
    entry = ACTIVATIONS.get(name)
    if entry and entry.derivative and dtype != torch.bfloat16:
        settings: dict[str, Any] = {
            parameter.name: parameter.default for parameter in entry.parameters
        }
        kinks = [float(evaluated(text, **settings)) for text in entry.kinks]
        kinks = [kink for kink in kinks if abs(kink) <= 6]
        places = [float(x[i]) for i in curve.slope_jumps]
        assert len(places) == len(kinks)
        assert all(abs(place - kink) <= 1 / 16 for place, kink in zip(places, kinks, strict=True))


@pytest.mark.parametrize(
    ("expression", "jumps"),
    [
        ("1/x", [0]), ("floor(x/2)", [-4, -2, 0, 2, 4, 6]), ("sigmoid(500*x)", []),
        *starmap(rare, [
            ("where(x > 1, x + 0.1, x)", [1]), ("sin(40*x)", []),
            ("1/x**2", [0]), ("tan(x)", [-1.5 * math.pi, -math.pi / 2, math.pi / 2, 1.5 * math.pi]),
            ("sign(x)", [0]), ("atan(1/x)", [0]), ("sign(x)*abs(x)**(1/3)", []), ("abs(x)", []), ("exp(x)", []),
            ("x**9", []), ("sqrt(x)", []),
        ]),
    ],
)  # fmt: skip
def test_jumps_and_poles_are_told_from_what_is_steep(expression: str, jumps: list[float]) -> None:
    """The line of the picture is interrupted there and nowhere else: seen in the SVG, which has
    every point.
    """
    pieces = svg_pieces(expression, "x=linspace(-6,6,120)", "--quiet")
    step = 12 / 119
    ends = sorted((piece[-1], following[0]) for piece, following in pairwise(pieces))
    assert len(ends) == len(jumps)
    for (end, start), jump in zip(ends, jumps, strict=True):
        assert end - step / 2 <= jump <= start + step / 2


def svg_pieces(*words: str) -> list[list[float]]:
    """The x of the points of each uninterrupted piece of the first line of a picture, in the units
    of x over [-6, 6].
    """
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        assert run("plot", *words, "--out", "c.svg", cwd=folder).status == 0
        tree = ET.parse(Path(folder) / "c.svg")
    frame, line = (path_points(tree, kind) for kind in ("patch_2", "line"))
    xs = [x for piece in frame for x in piece]
    low, high = min(xs), max(xs)
    margin = (high - low) / 22  # matplotlib's own, 5 % of the range on either side
    return [
        [-6 + 12 * (x - low - margin) / (high - low - 2 * margin) for x in piece] for piece in line
    ]


def path_points(tree: Any, kind: str) -> list[list[float]]:
    for group in tree.iter("{http://www.w3.org/2000/svg}g"):
        if re.fullmatch(kind if kind != "line" else r"line2d_\d+", group.get("id", "")):
            for path in group.findall("{http://www.w3.org/2000/svg}path"):
                if kind != "line" or (
                    "clip-path" in path.attrib and "stroke-width: 2" in path.get("style", "")
                ):
                    pieces = re.split(r"M", path.get("d", ""))[1:]
                    return [
                        [float(x) for x, _ in re.findall(r"(-?[\d.]+) (-?[\d.]+)", piece)]
                        for piece in pieces
                    ]
    raise AssertionError(kind)


# what the terminal shows


def test_the_step_has_no_dots_between_its_levels() -> None:
    (drawing,) = panels(run("plot", "step", "--quiet").stdout)
    top = 4 * len(drawing.rows) - 1
    assert {j for _, j in drawing.dots} == {0, top}


def test_the_identity_is_a_straight_line() -> None:
    drawing, _ = panels(run("plot", "x + 0*x**2", "100*x", "--quiet").stdout)
    (alone,) = panels(run("plot", "x.detach()", "--quiet").stdout)
    heights = [min(column) for column in alone.columns.values()]
    assert heights == sorted(heights)
    assert "A" in "".join(drawing.rows)


@pytest.mark.parametrize(("columns", "lines"), [(40, 16), rare(40, 20), rare(80, 24), (200, 60)])
@pytest.mark.parametrize(
    "words",
    [
        ("sigmoid",),
        ("relu", "gelu", "silu"),
        rare(("mse", "huber(delta=2)")),
        ("1000*sin(50*x)",),
        ("x*y", *GRID),
    ],
    ids=" ".join,
)
def test_the_picture_fits_the_window(words: tuple[str, ...], columns: int, lines: int) -> None:
    size = {"COLUMNS": str(columns), "LINES": str(lines)}
    for more in ({}, ASCII):
        shown = run("plot", *words, env={**size, **more}).stdout
        assert max(map(len, shown.splitlines())) <= columns
        assert len(shown.splitlines()) < lines
        assert len(shown.splitlines()) > lines // 2
        assert not more or shown.isascii()


def test_its_natural_size_is_80_by_24() -> None:
    for words in (("sigmoid",), ("relu", "gelu"), ("x*y", *GRID)):
        lines = run("plot", *words).stdout.splitlines()
        assert 70 <= max(map(len, lines)) <= 80
        assert 20 <= len(lines) <= 24


def test_the_height_is_that_of_the_terminal() -> None:
    def height(environ: Mapping[str, str], stdout: Any) -> int | None:
        return World(None, stdout, StringIO(), environ, 80).height

    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 90, 0, 0))
    with open(theirs, "w", encoding="utf-8") as terminal:
        assert height({}, terminal) == 33
        assert height({"LINES": "11"}, terminal) == 11
        assert height({"LINES": "x"}, terminal) == 33
    os.close(ours)
    assert height({}, StringIO()) is None


def test_ascii_has_a_character_for_each_line() -> None:
    picture = run("plot", "sigmoid", env=ASCII).stdout
    assert "****** sigmoid   ...... d/dx" in picture
    several = run("plot", "relu", "tanh", env=ASCII).stdout
    assert "AAAAAA relu   BBBBBB tanh" in several
    surface = run(
        "plot", "x**2 + y**2", "x=linspace(-1,1,20)", "y=linspace(-1,1,20)", env=ASCII
    ).stdout
    assert {"<", ">", "^", "v", "o", "1", "2"} <= set(surface)


def test_colour_adds_codes_and_nothing_else() -> None:
    for words in (("sigmoid",), ("relu", "gelu"), ("x*y", *GRID)):
        coloured = run("plot", *words, env={"FORCE_COLOR": "1"}).stdout
        assert "\x1b[" in coloured
        assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == run("plot", *words).stdout


def test_a_contour_shows_lines_arrows_and_the_smallest_point() -> None:
    picture = run("plot", "x**2 + y**2", "x=linspace(-2,2,41)", "y=linspace(-2,2,41)").stdout
    (drawing,) = panels(picture)
    middle = len(drawing.rows) // 2
    place = next((row, line.index("o")) for row, line in enumerate(drawing.rows) if "o" in line)
    assert abs(place[0] - middle) <= 1
    assert abs(place[1] - 36) <= 2
    for row, line in enumerate(drawing.rows):  # uphill is away from the middle
        for column, char in enumerate(line):
            assert not (char in "↑↗↖" and row > middle)
            assert not (char in "↓↘↙" and row < middle)
            assert not (char in "→↗↘" and column < 34)
            assert not (char in "←↖↙" and column > 38)
    assert sum(char in "→↗↑↖←↙↓↘" for row in drawing.rows for char in row) >= 20
    left, right = (sum((i < 72) is side for i, _ in drawing.dots) for side in (True, False))
    assert 0.8 < left / right < 1.25


def test_precision_is_that_of_the_line_below() -> None:
    assert "value from 0.0025 to 0.9975" in run(
        "plot", "sigmoid", "--precision", "4"
    ).stdout.replace("0.002473", "0.0025")
    assert "value from 0.0025 to 1.0" in run("plot", "sigmoid", "--precision", "2").stdout


# PNG, SVG and PDF


@pytest.mark.parametrize(
    ("words", "form"),
    [
        rare(("relu", "tanh", "step"), "png"),
        (("x**2 - y**2", *GRID), "svg"),
        rare(("_a = x**2; _a + sin(x)",), "pdf"),
        rare(("relu", "tanh", "step"), "svg"),
        rare(("x**2 - y**2", *GRID), "png"),
        rare(("_a = x**2; _a + sin(x)",), "png"),
        rare(("_a = x**2; _a + sin(x)",), "svg"),
    ],
)
def test_pictures_are_the_same_each_time(words: tuple[str, ...], form: str, tmp_path: Path) -> None:
    for name in ("a", "b"):
        shown = run("plot", *words, "--quiet", "--out", f"{name}.{form}", cwd=str(tmp_path))
        assert shown == Ran(f"wrote {name}.{form}\n", "", 0)
    first, second = ((tmp_path / f"{name}.{form}").read_bytes() for name in ("a", "b"))
    assert first == second
    if form == "png":
        from matplotlib.image import imread

        pixels = imread(tmp_path / "a.png")
        assert pixels.shape[0] > 400
        assert pixels.shape[1] > 800
        assert len(np.unique(pixels.reshape(-1, pixels.shape[-1]), axis=0)) > 20
    else:
        assert form == "pdf" or ET.fromstring(first).tag.endswith("svg")
        assert str(tmp_path).encode() not in first


@pytest.mark.exhaustive
def test_nothing_but_the_picture_is_written_and_no_settings_are_read(tmp_path: Path) -> None:
    """In a fresh Python, which has yet to load matplotlib: settings in each place that it knows,
    and an empty home.
    """
    plain, hostile, home, rest = (tmp_path / name for name in ("plain", "hostile", "home", "rest"))
    for folder in (plain, hostile, home, rest):
        folder.mkdir()
    settings = "lines.linewidth: 30\nsvg.fonttype: none\nbackend: nonsense\nno such line\n"
    for path in (hostile / "matplotlibrc", rest / "matplotlibrc"):
        path.write_text(settings, encoding="utf-8")
    assert run("plot", "relu", "--out", "a.svg", cwd=str(plain)).status == 0
    env = {
        "HOME": str(home), "TMPDIR": str(home), "XDG_CONFIG_HOME": "", "XDG_CACHE_HOME": "", "MPLBACKEND": "nonsense",
        "MATPLOTLIBRC": str(rest),
    }  # fmt: skip
    assert cold("plot", "relu", "--out", "a.svg", cwd=str(hostile), env=env) == Ran(
        "wrote a.svg\n", "", 0
    )
    assert (plain / "a.svg").read_bytes() == (hostile / "a.svg").read_bytes()
    assert list(home.iterdir()) == []
    assert sorted(path.name for path in hostile.iterdir()) == ["a.svg", "matplotlibrc"]


def test_without_matplotlib_the_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(shared, "find_spec", lambda name: None)
    shown = run("plot", "relu", "--out", "a.png", cwd=str(tmp_path), here=True)
    assert (shown.status, shown.stdout) == (2, "")
    assert "pip install matplotlib" in shown.stderr
    assert list(tmp_path.iterdir()) == []
    assert run("plot", "relu", "--out", "a.json", cwd=str(tmp_path), here=True).status == 0


# errors


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["x=linspace(-1,1,5)"], "gradcli plot 'sin(x)' 'x=linspace(-1,1,5)'"),
        (["x=1,2,3", "x**2"], "gradcli plot 'x**2' x=1,2,3"),
        (["x=1,2,3", "x**2*y", "y=2"], "gradcli plot 'x**2*y' x=1,2,3 y=2"),
        (["sin(x)", "cos(x)", "x=1,2"], "gradcli plot 'sin(x)' 'cos(x)'"),
        (["x**2", "x=3"], "every input is one number"),
        (["x**2", "x=3,"], "x has shape [1]"),
        (["x**2", "x=3,3"], "x goes from 3 to 3, which is one point"),
        (["x**2", "x=-inf,inf"], "a range needs finite ends"),
        pytest.param(
            ["x**2", "x=-4e4,4e4", "--dtype", "float16"],
            "not too far apart for float16",
            marks=pytest.mark.skipif(TORCH >= (2, 15), reason="linspace reaches as far"),
        ),
        (["x**2", "x=tensor([1,2])"], "x is int64"),
        (["W@x", "W=eye(2)", "x=1,2"], "W has shape [2, 2]"),
        (["x*y*z", "x=1,2", "y=1,2", "z=1,2"], "--wrt x"),
        (["x**2", "x", "=", "1,2"], "quote it: 'x=1,2'"),
        (["x**2", "x=1,", "2"], "quote it: 'x=1, 2'"),
        (
            ["x*ones(2)", "x=1,2"],
            "a plot needs one number at each point, but the result has shape [2]",
        ),
        (["softmax"], "gradcli plot 'softmax(stack([x, 0*x]))[0]'"),
        (["ce"], "gradcli plot 'cross_entropy(stack([x, 0*x]), y)'"),
        (["bce"], "takes probabilities"),
        (["sigmiod"], "did you mean sigmoid"),
        (["sin"], "call it: sin(x)"),
        (["y**2"], "unknown name y"),
        (["x**2", "y**2"], "unknown name y"),
        (["relu", "--wrt", "x"], "--wrt requires NAME=T"),
        (["x**2", "x=1,2", "--wrt", "y"], "there is no input 'y'"),
        (["-", "-"], "standard input is used twice"),
        (["-", "x=-"], "standard input is used twice"),
        (["relu", "--explain"], "--explain"),
        (["relu", "--check", "--csv"], "--check cannot be used with --csv"),
        (["relu", "--explain"], "gradcli grad 'sin(w*x)' x=1 w=2 --explain"),
        (["relu", "--graph", "tree"], "gradcli grad 'sin(w*x)' x=1 w=2 --graph tree"),
        (["relu", "tanh", "--expect", "1"], "no single gradient"),
        (["relu", "tanh", "--expect", "tanh=1"], "curves.1.derivative"),
        (["relu", "--out", "a.gif"], ".png, .svg, .pdf, .json"),
        (["relu", "tanh", "--out", "a.npy"], "2 to choose from"),
        (["relu", "--json", "--csv"], "cannot be used together"),
        (["relu", "--code", "--out", "a.svg"], "cannot be used together"),
        ([], "is missing"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_errors_say_the_way_out(words: list[str], said: str, tmp_path: Path) -> None:
    assert said in refused(*words)


def test_the_ways_out_work() -> None:
    for words in (
        ("softmax(stack([x, 0*x]))[0]", "x=-6,0,6"),
        ("cross_entropy(stack([x, 0*x]), y)", "x=-6,0,6", "y=0"),
        ("bce(x, y)", "x=0.01,0.99", "y=1"),
    ):
        assert run("plot", *words).status == 0


def test_other_commands_have_no_picture() -> None:
    shown = run("grad", "x**2", "x=1", "--out", "a.png")
    assert (shown.status, shown.stdout) == (2, "")
    assert ".png, " not in shown.stderr


def test_odd_ranges_are_drawn() -> None:
    for x in (
        "1,1,1",
        "nan,1,2",
        "-inf,0,inf",
        "inf,inf,nan",
        "3,1,2",
        "2,1",
        "1e38,2e38",
        "logspace(-3,3,20)",
        "1e-40,2e-40",
    ):
        shown = run("plot", "x*1.5", f"x={x}")
        assert shown.status == 0, (x, shown.stderr)
        assert max(map(len, shown.stdout.splitlines())) <= 80
        assert run("plot", "x*y", f"x={x}", "y=1,2,3").status == 0
