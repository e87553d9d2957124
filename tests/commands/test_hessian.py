"""`hessian`: second derivatives, eigenvalues and the kind of a stationary point, against closed
forms.
"""

from typing import Any

import pytest
import torch

from tests.program import run


def hessian(*words: str) -> Any:
    return run("hessian", *words, "--dtype", "float64", "--json").json


@pytest.mark.parametrize(
    ("text", "kind", "eigenvalues"),
    [
        ("x**2 + 3*y**2", "minimum", [2, 6]),
        ("-x**2 - 3*y**2", "maximum", [-6, -2]),
        ("x**2 - y**2", "saddle", [-2, 2]),
        ("x*y", "saddle", [-1, 1]),
        ("x**4 + y**4", "degenerate", [0, 0]),
        ("x**2 + y**4", "degenerate", [0, 2]),
        ("(1 - cos(x)) + y**2", "minimum", [1, 2]),
    ],
)
def test_the_kind_of_a_stationary_point_is_told_by_the_eigenvalues(
    text: str, kind: str, eigenvalues: list[int]
) -> None:
    result = hessian(text, "x=0", "y=0")
    assert result["stationary"] is True
    assert result["kind"] == kind
    assert result["eigenvalues"] == pytest.approx(eigenvalues, abs=1e-12)


def test_off_a_stationary_point_there_is_no_kind() -> None:
    result = hessian("x**2 + y**2", "x=1", "y=0")
    assert (result["stationary"], result["kind"]) == (False, None)


@pytest.mark.parametrize(("slope", "stationary"), [("0.9e-6", True), ("1.1e-6", False)])
def test_stationary_is_measured_against_one_plus_the_value(slope: str, stationary: bool) -> None:
    assert hessian(f"x**2 + {slope}*x", "x=0")["stationary"] is stationary
    assert hessian(f"x**2 + 10*{slope}*x + 9", "x=0")["stationary"] is stationary


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("(x - 1)**2", "; minimum: the gradient is zero\n"),
        ("x**2", "; not a stationary point: the gradient is not zero\n"),
        ("1e8 + 50*x + x**2", "; minimum: the gradient is zero within 1e-6 (1 + |value|)\n"),
        ("(x - 1)**2 + inf", "; not a stationary point: the value is not finite\n"),
        ("(x - 1).norm()", "nan; a stationary point of unknown kind: the gradient is zero\n"),
        ("(x - 1).norm()**2", "nan; a stationary point of unknown kind: the gradient is zero\n"),
    ],
)
def test_the_line_of_the_point_is_true_of_gradient_and_value(text: str, said: str) -> None:
    shown = run("hessian", text, "x=1", "--dtype", "float64")
    assert shown.stdout.endswith(said)


@pytest.mark.parametrize("text", ["exp(1000*x)", "(x - 1)**2 + inf", "x*1e300*1e300"])
def test_a_point_that_is_not_finite_is_not_stationary(text: str) -> None:
    assert hessian(text, "x=1")["stationary"] is False


def test_rosenbrock() -> None:
    x, y = 0.5, -0.25
    result = hessian("(1-x)**2 + 100*(y-x**2)**2", f"x={x}", f"y={y}")
    assert result["gradients"]["x"] == pytest.approx(-2 * (1 - x) - 400 * x * (y - x * x))
    assert result["gradients"]["y"] == pytest.approx(200 * (y - x * x))
    assert result["hessian"]["x"]["x"] == pytest.approx(2 - 400 * (y - 3 * x * x))
    assert result["hessian"]["x"]["y"] == result["hessian"]["y"]["x"] == pytest.approx(-400 * x)
    assert result["hessian"]["y"]["y"] == pytest.approx(200)
    assert hessian("(1-x)**2 + 100*(y-x**2)**2", "x=1", "y=1")["kind"] == "minimum"


def test_an_input_that_is_not_on_the_path_has_derivatives_of_0_with_a_note() -> None:
    result = hessian("x**2", "x=3", "y=1,2")
    assert result["gradients"] == {"x": 6.0, "y": [0.0, 0.0]}
    assert result["hessian"] == {
        "x": {"x": 2.0, "y": [0.0, 0.0]},
        "y": {"x": [0.0, 0.0], "y": [[0.0, 0.0], [0.0, 0.0]]},
    }
    assert [note["code"] for note in result["notes"]] == ["unused-input"]


@pytest.mark.parametrize("words", [(), ("--hvp", "x=1")])
@pytest.mark.parametrize(
    ("term", "codes"),
    [("y.detach()", ["no-derivative"]), ("(y > 0)", ["no-derivative"]), ("0*y", [])],
)
def test_an_input_by_which_autograd_returns_none_is_noted(
    term: str, codes: list[str], words: tuple[str, ...]
) -> None:
    result = hessian(f"x**2 + {term}", "x=3", "y=2", *words)
    assert result["gradients"] == {"x": 6.0, "y": 0.0}
    assert [note["code"] for note in result["notes"]] == codes


def test_blocks_of_several_inputs_have_the_shape_of_both() -> None:
    result = hessian("(W @ x).pow(3).sum() + b*x.sum()", "W=1,2,3;4,5,6", "x=0.1,0.2,0.3", "b=2")
    shapes = {"W": (2, 3), "x": (3,), "b": ()}
    w, x, b = (torch.tensor(result["inputs"][name], dtype=torch.float64) for name in shapes)

    def value(w: torch.Tensor, x: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return (w @ x).pow(3).sum() + b * x.sum()

    expected = torch.autograd.functional.hessian(value, (w, x, b))  # type: ignore[no-untyped-call]
    for i, first in enumerate(shapes):
        for j, second in enumerate(shapes):
            block = torch.tensor(result["hessian"][first][second], dtype=torch.float64)
            assert block.shape == shapes[first] + shapes[second]
            assert torch.allclose(block, expected[i][j], rtol=1e-10, atol=1e-12), (first, second)
    assert len(result["eigenvalues"]) == 6 + 3 + 1
    assert result["eigenvalues"] == sorted(result["eigenvalues"])


def test_the_eigenvalues_are_those_of_the_joint_matrix() -> None:
    result = hessian("2*x[0]*x[1] + x[0]**2 + y*x[1]", "x=1,2", "y=3")
    joint = torch.tensor([[2.0, 2, 0], [2, 0, 1], [0, 1, 0]], dtype=torch.float64)
    assert result["eigenvalues"] == pytest.approx(torch.linalg.eigvalsh(joint).tolist(), rel=1e-10)


def test_a_linear_function_has_a_hessian_of_zeros() -> None:
    result = hessian("3*x + 0*y", "x=1", "y=2")
    assert result["hessian"] == {"x": {"x": 0.0, "y": 0.0}, "y": {"x": 0.0, "y": 0.0}}
    assert result["stationary"] is False
    assert hessian("0*x", "x=1")["kind"] == "degenerate"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_keys_of_the_json_are_these_and_no_others(dtype: str) -> None:
    result = run("hessian", "x**2", "x=1", "--json", "--dtype", dtype).json
    common = {"command", "dtype", "inputs", "defaults", "notes", "expression"}
    assert set(result) == common | {
        "value",
        "gradients",
        "hessian",
        "eigenvalues",
        "stationary",
        "kind",
    }
    assert result["notes"] == []
    assert (result["value"], result["gradients"], result["hessian"]) == (
        1.0,
        {"x": 2.0},
        {"x": {"x": 2.0}},
    )


def test_the_table_labels_both_sides_and_gives_the_verdict() -> None:
    text = run("hessian", "x[0]**2 - x[1]**2 + y**2", "x=0,0", "y=0").stdout
    for piece in ("x[0]", "x[1]", "y", "eigenvalues", "-2", "saddle"):
        assert piece in text, piece


def test_csv_has_a_row_and_a_column_per_input_element() -> None:
    lines = run("hessian", "x[0]**2 * x[1] * y", "x=1,2", "y=3", "--csv").stdout.splitlines()
    assert [line.split(",")[1:] for line in lines] == [
        ["x[0]", "x[1]", "y"],
        ["12.0", "6.0", "4.0"],
        ["6.0", "0.0", "1.0"],
        ["4.0", "1.0", "0.0"],
    ]
    assert [line.split(",")[0] for line in lines[1:]] == ["x[0]", "x[1]", "y"]


def test_not_finite_second_derivatives_have_no_kind() -> None:
    result = hessian("x.sqrt()", "x=0")
    assert result["hessian"]["x"]["x"] in ("-Infinity", "NaN", "Infinity")
    assert result["kind"] is None


def test_a_function_of_pieces_still_has_one() -> None:
    assert hessian("relu(x)", "x=1")["hessian"] == {"x": {"x": 0.0}}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["x**2", "x=1,2"], "one number"),
        (["x**2", "x=1,2"], "sum()"),
        (["(x > 0).sum()", "x=1,2"], "does not depend"),
        (["x**2", "x=tensor(2)"], "int64"),
        (["x.sum()", "x=zeros(20000)"], "400,000,000"),
        ([], "EXPR"),
        (["x**2"], "x"),
    ],
)
def test_a_mistake_is_named_with_its_cure(words: list[str], says: str) -> None:
    shown = run("hessian", *words)
    assert (shown.status, shown.stdout) == (2, "")
    assert shown.stderr.startswith("error: ")
    assert says in shown.stderr


def test_an_input_without_elements_has_a_hessian_without_elements() -> None:
    found = run("hessian", "x.sum() + y**2", "x=zeros(0)", "y=3", "--json").json
    assert found["hessian"] == {"x": {"x": [], "y": []}, "y": {"x": [], "y": 2.0}}
    assert found["eigenvalues"] == [2.0]
    assert run("hessian", "x.sum()", "x=zeros(0)", "--json").json["eigenvalues"] == []
    shown = run("hessian", "x.sum()", "x=zeros(0)")
    assert (shown.status, shown.stderr) == (0, "")
    assert "eigenvalues none" in shown.stdout
    shown = run("hessian", "w**2*(x.sum() + 1)", "x=zeros(0)", "w=2", "--check")
    assert shown.status == 0
    assert "│ w w " in shown.stdout
