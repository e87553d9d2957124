"""`grad`: values and gradients of expressions and of --fn, against closed forms and plain
PyTorch.
"""

import json
import math
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from gradcli import core
from gradcli.catalogue.functions import LOSSES
from gradcli.errors import MathError
from tests.program import run


def grad(*words: str) -> Any:
    """The JSON object of one call in float64."""
    return run("grad", *words, "--dtype", "float64", "--json").json


def test_the_lectures_case_has_loss_1_dw_2_dx_4() -> None:
    result = run("grad", "--fn", "mse", "--x", "1", "--w", "2", "--json").json
    assert result["expression"] == "mse(x*w + b, y)"
    assert result["value"] == 1.0
    assert result["gradients"] == {"x": 4.0, "w": 2.0}
    assert result["inputs"] == {"x": 1.0, "w": 2.0, "b": 0.0, "y": 1.0}
    assert result["defaults"] == ["b", "y"]


def test_the_table_marks_what_the_user_did_not_give() -> None:
    lines = run("grad", "--fn", "mse", "--x", "1", "--w", "2").stdout.splitlines()
    assert lines[0] == "mse(x*w + b, y) = 1"
    marked = {line.split()[1] for line in lines if "default" in line}
    assert marked == {"b", "y"}


def test_the_keys_of_the_json_are_these_and_no_others() -> None:
    result = grad("h = w*x; h**2", "x=3", "w=2")
    common = {"command", "dtype", "inputs", "defaults", "notes"}
    assert set(result) == common | {"expression", "value", "gradients", "intermediates"}
    assert set(result["intermediates"]["h"]) == {"value", "gradient"}
    assert (result["command"], result["dtype"]) == ("grad", "float64")
    each = grad("x**2", "x=1,2", "--each", "x")
    assert set(each) == common | {"expression", "rows"}
    assert [set(row) for row in each["rows"]] == [{"x", "value", "gradients"}] * 2


# --fn


def test_fn_of_a_loss_means_the_loss_of_x_w_plus_b_against_y() -> None:
    x, w, b, y = [1.0, 2.0], [0.5, -1.0], 0.25, [1.0, 0.0]
    result = grad("--fn", "mse", "--x", "1,2", "--w", "0.5,-1", "--b", "0.25", "--y", "1,0")
    errors = [xi * wi + b - yi for xi, wi, yi in zip(x, w, y, strict=True)]
    assert result["value"] == pytest.approx(sum(e * e for e in errors) / 2, rel=1e-12)
    assert result["gradients"]["x"] == pytest.approx(
        [e * wi for e, wi in zip(errors, w, strict=True)], rel=1e-12
    )
    assert result["gradients"]["w"] == pytest.approx(
        [e * xi for e, xi in zip(errors, x, strict=True)], rel=1e-12
    )
    assert result["gradients"]["b"] == pytest.approx(sum(errors), rel=1e-12)
    assert set(result["gradients"]) == {"x", "w", "b"}
    assert result["defaults"] == []


def test_fn_of_an_activation_means_the_activation_of_x_w_plus_b() -> None:
    result = grad("--fn", "sigmoid", "--x", "0.5", "--w", "2")
    s = 1 / (1 + math.exp(-1))
    assert result["expression"] == "sigmoid(x*w + b)"
    assert result["value"] == pytest.approx(s, rel=1e-12)
    assert result["gradients"] == pytest.approx(
        {"x": 2 * s * (1 - s), "w": 0.5 * s * (1 - s)}, rel=1e-12
    )
    assert result["defaults"] == ["b"]


def test_the_default_target_is_ones_in_the_shape_of_x_w_plus_b() -> None:
    result = grad("--fn", "sse", "--x", "1,2,3", "--w", "1;2")
    assert result["inputs"]["y"] == [[1.0] * 3] * 2
    assert result["value"] == sum((x * w - 1) ** 2 for x in (1, 2, 3) for w in (1, 2))


def test_w_is_1_and_b_is_0_unless_given() -> None:
    result = grad("--fn", "mse", "--x", "3")
    assert result["inputs"] == {"x": 3.0, "w": 1.0, "b": 0.0, "y": 1.0}
    assert result["defaults"] == ["w", "b", "y"]
    assert result["gradients"] == {"x": 4.0}


def test_an_index_loss_takes_its_class_by_y_and_makes_it_whole() -> None:
    result = grad("--fn", "cross_entropy", "--x", "2,1,0.1", "--y", "0")
    p = torch.softmax(torch.tensor([2, 1, 0.1], dtype=torch.float64), 0)
    assert result["value"] == pytest.approx(-math.log(p[0]), rel=1e-12)
    assert result["gradients"]["x"] == pytest.approx(
        (p - torch.tensor([1, 0, 0])).tolist(), rel=1e-12
    )
    assert result["inputs"]["y"] == 0


def test_the_expanded_text_is_an_expression_that_gives_the_same() -> None:
    short = grad("--fn", "huber(delta=2)", "--x", "5", "--y", "1")
    long = grad(short["expression"], "x=5", "w=1", "b=0", "y=1", "--wrt", "x")
    assert long["value"] == short["value"] == 2 * (4 - 1)
    assert long["gradients"] == short["gradients"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--fn", "mse", "x**2", "--x", "1"], "--fn"),
        (["--fn", "mse", "x=1", "x*2"], "--fn"),
        (["--fn", "mse", "--x", "1", "z=2"], "--fn has no input 'z'"),
        (["--fn", "sigmoid", "--x", "1", "--y", "1"], "--y"),
        (["--fn", "mse"], "--x is missing"),
        (["--fn", "nll", "--x", "1,2"], "--y"),
        (["--fn", "cross_entropy", "--x", "1,2"], "--y"),
        (["--fn", "multi_margin", "--x", "1,2"], "--y"),
        (["--fn", "mze", "--x", "1"], "mse"),
        (["--x", "1"], "--fn"),
        (["x**2", "x=1", "--y", "1"], "--fn"),
        ([], "--fn"),
        (["--fn", "mse", "--x", "1,2", "--w", "1,2,3"], "[3]"),
    ],
)
def test_a_misuse_of_fn_is_a_usage_error(words: list[str], says: str) -> None:
    shown = run("grad", *words)
    assert (shown.status, shown.stdout) == (2, "")
    assert shown.stderr.startswith("error: ")
    assert says in shown.stderr


# expressions

X = "1.5,-0.5,2"
VALUE = torch.tensor([1.5, -0.5, 2.0], dtype=torch.float64)
EXPRESSIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "mse(w*x + b, y)": lambda x: F.mse_loss(0.5 * x + 0.1, torch.ones(3, dtype=torch.float64)),
    "torch.norm(y - x, 2).pow(2)": lambda x: torch.norm(1 - x, 2).pow(2),
    "F.cross_entropy(x, t, reduction='sum')": lambda x: F.cross_entropy(
        x, torch.tensor(2), reduction="sum"
    ),
    "softmax(x)[1]": lambda x: torch.softmax(x, -1)[1],
    "x.relu().sum()": lambda x: x.relu().sum(),
    "x.T @ x": lambda x: x @ x,
    "x[x > 0].sum()": lambda x: x[x > 0].sum(),
    "where(x > 0, x, 0*x).sum()": lambda x: torch.where(x > 0, x, 0 * x).sum(),
    "nn.MSELoss()(x, y)": lambda x: F.mse_loss(x, torch.ones(3, dtype=torch.float64)),
    "(math.pi*x).sum()": lambda x: (math.pi * x).sum(),
    "np.exp(x).sum()": lambda x: x.exp().sum(),
    "h = w*x; h += 1; h.square().sum()": lambda x: (0.5 * x + 1).square().sum(),
    "a, c = x[:2], x[2]; (a*c).sum()": lambda x: (x[:2] * x[2]).sum(),
    "x.max(0).values": lambda x: x.max(0).values,
    "torch.fft.fft(x).abs().sum()": lambda x: torch.fft.fft(x).abs().sum(),
    "x.prod() if len(x) > 2 else x.sum()": lambda x: x.prod(),
    "x[..., None].expand(3, 2).sum()  # twice": lambda x: 2 * x.sum(),
}


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_an_expression_has_pytorchs_own_value_and_gradient(text: str) -> None:
    leaf = VALUE.clone().requires_grad_()
    value = EXPRESSIONS[text](leaf)
    (slope,) = torch.autograd.grad(value, leaf)
    inputs = [f"x={X}", "w=0.5", "b=0.1", "y=ones(3)", "t=2"]
    used = [
        word
        for word in inputs
        if word[0] in "".join(c if c.isalnum() or c == "_" else " " for c in text).split()
    ]
    result = grad(text, *used, "--wrt", "x")
    assert result["value"] == pytest.approx(value.item(), rel=1e-12)
    assert result["gradients"] == {"x": pytest.approx(slope.tolist(), rel=1e-12, abs=1e-15)}


def test_gradients_are_by_every_floating_input_given_unless_wrt_chooses() -> None:
    words = ["(a*b**2*c).sum()", "a=2", "b=3", "c=tensor([1,2])"]
    every = grad(*words)
    assert every["gradients"] == {"a": 9.0 * 3, "b": 2 * 2 * 3.0 * 3, "c": None}
    assert every["notes"] == []
    assert grad(*words, "--wrt", "b")["gradients"] == {"b": 36.0}
    assert list(grad(*words, "--wrt", "b,a")["gradients"]) == ["a", "b"]


def test_a_central_difference_agrees() -> None:
    text = "(sin(x*w)*exp(-x)).sum()"
    result = grad(text, f"x={X}", "w=0.7")

    def value(w: float) -> float:
        return float((torch.sin(VALUE * w) * torch.exp(-VALUE)).sum())

    assert result["gradients"]["w"] == pytest.approx(
        (value(0.7 + 1e-6) - value(0.7 - 1e-6)) / 2e-6, rel=1e-8
    )


@pytest.mark.parametrize("text", ["mse(w*x, y)", "(w*x).exp().sum()", "h = w*x; h.tanh().sum()"])
def test_backward_and_grad_give_the_same_numbers(text: str) -> None:
    words = [text, f"x={X}", "w=2", *(["y=0"] if "y" in text else [])]
    by_grad, by_backward = grad(*words, "--via", "grad"), grad(*words, "--via", "backward")
    assert by_grad == by_backward


def test_named_steps_are_shown_with_the_gradients_that_reach_them() -> None:
    steps = grad("h = w*x + b; p = sigmoid(h); (p - t)**2 / 2", "x=1", "w=2", "b=-1", "t=0")[
        "intermediates"
    ]
    s = 1 / (1 + math.exp(-1))
    assert list(steps) == ["h", "p"]
    assert steps["p"] == {"value": pytest.approx(s), "gradient": pytest.approx(s)}
    assert steps["h"] == {"value": 1.0, "gradient": pytest.approx(s * s * (1 - s))}


def test_a_rebound_name_is_shown_by_its_last_binding_and_inputs_keep_their_own_gradient() -> None:
    result = grad("h = x*3; h += 1; x = h**2; x", "x=2")
    assert result["value"] == 49.0
    assert result["gradients"] == {"x": 2 * 7 * 3.0}
    assert result["intermediates"]["h"] == {"value": 7.0, "gradient": 14.0}
    assert result["inputs"] == {"x": 2.0}


@pytest.mark.parametrize(("written", "canonical_text"), [("-x**2", "-(x**2)"), ("x * x", "x*x")])
def test_the_title_is_the_expression_as_it_was_understood(
    written: str, canonical_text: str
) -> None:
    shown = run("grad", written, "x=3")
    assert shown.stdout.splitlines()[0].replace(" ", "").startswith(f"{canonical_text}=")
    assert grad(written, "x=3")["expression"].replace(" ", "") == canonical_text


def test_an_expression_may_come_from_a_file_or_a_pipe(tmp_path: Path) -> None:
    (tmp_path / "loss.py").write_text("# a line of comment\nh = x*w\nh**2\n")
    expected = {"x": 2 * 6 * 2.0, "w": 2 * 6 * 3.0}
    words = ["x=3", "w=2", "--json"]
    assert run("grad", "@loss.py", *words, cwd=str(tmp_path)).json["gradients"] == expected
    assert run("grad", "-", *words, stdin="h = x*w\nh**2\n").json["gradients"] == expected


def test_a_name_of_pytorchs_is_the_users_value_where_it_is_read_and_the_function_where_it_is_called() -> (
    None
):
    result = grad("mse(e*x, pi) + e", "x=1", "e=3", "pi=1")
    assert result["value"] == (3 - 1) ** 2 + 3
    assert result["gradients"]["e"] == 2 * (3 - 1) + 1


def test_the_jobs_dtype_is_pytorchs_default_inside() -> None:
    assert grad("(torch.ones(1)*x/3).sum()", "x=1")["value"] == 1 / 3
    result = run("grad", "(torch.ones(1)*x/3).sum()", "x=1", "--json").json
    assert result["value"] == pytest.approx(1 / 3, rel=1e-7)
    assert result["value"] != 1 / 3


def test_an_omitted_dim_of_softmax_is_the_last_with_a_note() -> None:
    shown = grad("softmax(x)[0, 1]", "x=[[1, 2], [3, 4]]")
    assert shown["value"] == pytest.approx(1 / (1 + math.exp(-1)))
    assert any("dim" in note["text"] for note in shown["notes"])
    shown = grad("logsumexp(x).sum()", "x=[[1, 2], [3, 3]]")
    assert shown["value"] == pytest.approx(5 + math.log(1 + math.exp(-1)) + math.log(2))
    assert any("dim" in note["text"] for note in shown["notes"])


@pytest.mark.parametrize("name", ["value", "gradient"])
def test_a_complex_step_is_null_in_json_with_a_note(name: str) -> None:
    result = grad("f = torch.fft.fft(x); f.abs().sum()", "x=1,2,4")
    assert result["value"] == pytest.approx(7 + 2 * math.sqrt(7), rel=1e-12)
    assert result["intermediates"]["f"][name] is None
    assert any(
        "complex" in note["text"] and "f" in note["text"].split() for note in result["notes"]
    )


def test_a_complex_step_is_shown_in_the_table() -> None:
    shown = run("grad", "f = torch.fft.fft(x); f.abs().sum()", "x=1,2,4")
    assert shown.status == 0, shown.stderr
    assert "1.73205j" in shown.stdout.replace(" ", "")


# results that are not one number


def test_a_result_that_is_not_one_number_offers_all_cures_as_commands() -> None:
    shown = run("grad", "-x**2", "x=-1,2")
    assert (shown.status, shown.stdout) == (2, "")
    assert "[2]" in shown.stderr
    hints = [
        line.strip() for line in shown.stderr.splitlines() if line.strip().startswith("gradcli ")
    ]
    assert {hint.split()[1] for hint in hints} == {"grad", "jacobian", "value"}
    for option in ("--row", "--vjp", "--each"):
        assert any(option in hint for hint in hints)


@pytest.mark.smoke
def test_every_cure_that_is_offered_works() -> None:
    for words in (
        ["-x**2", "x=-1,2"],
        ["W @ x", "W=1,2;3,4", "x=1,1"],
        ["x*y", "x=1;2", "y=3,4"],
        ["x[x > 5]", "x=1,2"],
        ["--fn", "mse(reduction=none)", "--x", "-1,2"],
        ["--fn", "sigmoid", "--x", "1,2;3,4"],
    ):
        shown = run("grad", *words)
        hints = [
            line.strip()
            for line in shown.stderr.splitlines()
            if line.strip().startswith("gradcli ")
        ]
        assert len(hints) >= 3
        for hint in hints:
            again = run(*shlex.split(hint)[1:])
            assert again.status == 0, (hint, again.stderr)


def test_of_what_has_no_gradient_only_the_value_is_offered() -> None:
    shown = run("grad", "x > 0", "x=1,2")
    assert shown.stderr.splitlines()[1:] == ["  gradcli value 'x > 0' x=1,2"]


@pytest.mark.parametrize(
    ("row", "slope"), [("0", [0.0, 2.0]), ("1", [1.0, 0.0]), ("-1", [1.0, 0.0])]
)
def test_row_differentiates_one_element(row: str, slope: list[float]) -> None:
    result = grad("stack([x[1]*2, x[0]])", "x=5,7", "--row", row)
    assert result["gradients"] == {"x": slope}
    assert result["value"] == [14.0, 5.0]


@pytest.mark.parametrize(("row", "place"), [("1,2", 5), ("-1,0", 3), ("0,-1", 2), ("[1,1]", 4)])
def test_row_of_a_matrix_takes_two_indices(row: str, place: int) -> None:
    result = grad("x.reshape(2, 3)**2", "x=arange(6)", "--row", row)
    assert result["gradients"]["x"] == [2.0 * place if i == place else 0.0 for i in range(6)]


@pytest.mark.parametrize("row", ["2", "-3", "0,0", "a", "1.5", ""])
def test_a_row_that_is_not_there_is_an_error(row: str) -> None:
    shown = run("grad", "x*2", "x=5,7", "--row", row)
    assert (shown.status, shown.stdout) == (2, "")
    assert "--row" in shown.stderr


def test_vjp_weighs_the_rows() -> None:
    result = grad("W @ x", "W=1,2;3,4", "x=1,1", "--vjp", "10,1")
    assert result["gradients"]["x"] == [10 * 1 + 3.0, 10 * 2 + 4.0]
    assert result["value"] == [3.0, 7.0]


def test_a_vjp_of_another_shape_is_an_error_with_both_shapes() -> None:
    shown = run("grad", "W @ x", "W=1,2;3,4", "x=1,1", "--vjp", "1,1,1")
    assert shown.status == 2
    assert "[3]" in shown.stderr
    assert "[2]" in shown.stderr


def test_each_goes_point_by_point() -> None:
    result = grad("(x*w).pow(3).sum()", "x=-1,0.5,2", "w=1,2", "--each", "x")
    assert [row["x"] for row in result["rows"]] == [-1.0, 0.5, 2.0]
    for row in result["rows"]:
        x = row["x"]
        assert row["value"] == pytest.approx(9 * x**3)
        assert row["gradients"]["x"] == pytest.approx(27 * x**2)
        assert row["gradients"]["w"] == pytest.approx([3 * x**3, 12 * x**3])


def test_each_works_with_fn_too() -> None:
    rows = grad("--fn", "relu", "--x", "-1,0,2", "--each", "x")["rows"]
    assert [(row["value"], row["gradients"]["x"]) for row in rows] == [
        (0.0, 0.0),
        (0.0, 0.0),
        (2.0, 1.0),
    ]


CHANCE = torch.Generator().manual_seed(0)
SAMPLES = torch.randn(4, 3, dtype=torch.float64, generator=CHANCE)
CLASSES = torch.tensor([0, 2, 1, 0])
WEIGHTS = torch.randn(3, 3, dtype=torch.float64, generator=CHANCE)


def literal(tensor: Tensor) -> str:
    """A tensor as an input that keeps its numbers and its kind of dtype."""
    return f"tensor({tensor.tolist()})" if tensor.dtype == torch.int64 else str(tensor.tolist())


PER_SAMPLE: dict[str, Callable[..., Tensor]] = {
    "cross_entropy(W @ X, Y)": lambda w, x, y: F.cross_entropy(w @ x, y),
    "h = tanh(W @ X); h[Y]": lambda w, x, y: torch.tanh(w @ x)[y],
    "(X.outer(X) * W).sum() / (Y + 1)": lambda w, x, y: (x.outer(x) * w).sum() / (y + 1),
}


@pytest.mark.parametrize("text", PER_SAMPLE)
def test_each_of_several_inputs_gives_the_gradients_of_each_sample(text: str) -> None:
    """Exactly those of a loop, and those of vmap up to rounding."""
    function = PER_SAMPLE[text]
    inputs = [f"W={literal(WEIGHTS)}", f"X={literal(SAMPLES)}", f"Y={literal(CLASSES)}"]
    rows = grad(text, *inputs, "--each", "X,Y", "--wrt", "W,X")["rows"]
    weights = WEIGHTS.clone().requires_grad_()
    for row, x, y in zip(rows, SAMPLES, CLASSES, strict=True):
        leaf = x.clone().requires_grad_()
        value = function(weights, leaf, y)
        slopes = torch.autograd.grad(value, [weights, leaf])
        assert (row["X"], row["Y"], row["value"]) == (x.tolist(), y.item(), value.item())
        assert row["gradients"] == {"W": slopes[0].tolist(), "X": slopes[1].tolist()}
    if "[Y]" not in text:  # which vmap cannot trace
        together = torch.func.vmap(torch.func.grad(function), in_dims=(None, 0, 0))(
            WEIGHTS, SAMPLES, CLASSES
        )
        found = torch.tensor([row["gradients"]["W"] for row in rows], dtype=torch.float64)
        assert torch.allclose(found, together, rtol=1e-12, atol=1e-14)


def test_each_takes_samples_of_any_shape_and_class_indices_as_plain_numbers() -> None:
    words = (
        "(A * B).sum() * c",
        f"A={torch.arange(12.0).reshape(2, 2, 3).tolist()}",
        "B=1,2,3",
        "c=5,7",
    )
    rows = grad(*words, "--each", "c,A")["rows"]
    assert [list(row)[:2] for row in rows] == [["c", "A"]] * 2
    assert [row["gradients"]["B"] for row in rows] == [[15.0, 25.0, 35.0], [105.0, 119.0, 133.0]]
    assert rows[0]["gradients"]["A"] == [[5.0, 10.0, 15.0]] * 2
    of_integers = grad("x[0]*i", "i=tensor([1,2])", "x=1,2;3,4", "--each", "x,i")["rows"]
    assert [list(row["gradients"].items()) for row in of_integers] == [
        [("i", None), ("x", [1.0, 0.0])], [("i", None), ("x", [2.0, 0.0])]
    ]  # fmt: skip
    loss = ("cross_entropy(a, t)", "a=1,2,3;3,2,1", "--each", "a,t")
    assert [row["gradients"]["t"] for row in grad(*loss, "t=0,2")["rows"]] == [None, None]
    assert grad(*loss, "t=0,2")["rows"] == [
        {**row, "t": float(row["t"])} for row in grad(*loss, "t=tensor([0,2])")["rows"]
    ]


def test_the_rows_of_each_are_checked_explained_and_expected() -> None:
    words = ("mse(X @ w, y)", "X=1,2;3,4", "w=1,-1", "y=1,0", "--each", "X,y", "--wrt", "w,X")
    checked = run("grad", *words, "--check").stdout
    for place in ("w[1] at X[0]", "w[0] at X[1]", "X[1,0]"):
        assert place in checked
    ledger = grad(*words, "--explain")["ledger"]
    ends = {row["name"]: row["product"] for row in ledger if row["operation"] == "gradient"}
    assert ends["X[0], y[0]: w"] == [-4.0, -8.0]
    assert set(ends) == {f"X[{i}], y[{i}]: {name}" for i in (0, 1) for name in ("w", "X")}
    formula = "rows.1.gradients.w = 2*(X @ w - y)*X"
    assert run("grad", *words, "--expect", formula).status == 0
    missed = run("grad", *words, "--expect", "rows.0.gradients.w = (X @ w - y)*X", "--json")
    assert missed.json["expect"]["rows.0.gradients.w"]["slip"] == "factor-half"
    many = run("grad", "x**2", "x=arange(0,21)", "--each", "x", "--explain")
    assert (many.status, many.stdout) == (2, "")
    assert "at most 20 samples" in many.stderr


def test_a_large_sample_is_named_on_the_screen_and_whole_in_csv() -> None:
    words = (
        "grad",
        "mse(X @ w, y)",
        "X=ones(2,9)",
        "w=ones(9)",
        "y=1,2",
        "--each",
        "X,y",
        "--wrt",
        "y",
    )
    rows = [re.findall(r"[^\s│]+", line) for line in run(*words).stdout.splitlines() if "│" in line]
    assert rows == [
        ["X", "y", "value", "d/dy"], ["X[0]", "1", "64", "-16"], ["X[1]", "2", "49", "-14"]
    ]  # fmt: skip
    header, *lines = run(*words, "--csv").stdout.splitlines()
    assert header.split(",") == [*(f"X[{i}]" for i in range(9)), "y", "value", "d_y"]
    assert lines[0].split(",") == [*["1.0"] * 9, "1.0", "64.0", "-16.0"]


def test_each_is_offered_where_it_gives_the_same_numbers_and_only_there() -> None:
    for words, offered in {
        ("mse(X @ w, y, reduction='none')", "X=1,2;3,4", "w=1,2", "y=1,1"): "X,y",
        ("cross_entropy(X, y, reduction='none')", "X=1,2;3,4", "y=tensor([0,1])"): "X,y",
        ("x*y", "x=1,2", "y=3,4"): "x,y",
        ("x*y", "x=1,2", "y=3"): "x",
        ("X @ W", "X=1,2;3,4;5,6", "W=1;2"): "X",
        ("softmax(x)", "x=1,2"): "",
        ("x.flip(0)", "x=1,2"): "",
        ("x - x.mean()", "x=1,2"): "",
        ("X @ X.T", "X=1,2;3,4"): "",
    }.items():
        lines = run("grad", *words).stderr.splitlines()
        found = [line.rpartition("--each ")[2] for line in lines if "--each " in line]
        assert found == ([offered] if offered else []), words


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["x*y", "x=1,2", "y=3", "--each", "z"], "z"),
        (["x*y", "x=1", "y=3", "--each", "x"], "x is one number"),
        (["x*y", "x=1,2", "y=3,4,5", "--each", "x,y"], "[2] and [3]"),
        (["x*y", "first=1,2", "x=1,2", "y=3", "--each", "x,fist"], "did you mean first"),
        (["value*2", "value=1,2", "--each", "value"], "value_"),
        (["x*y", "x=1,2", "y=3,4", "--each", "x"], "one number"),
        (["x**2", "x=1,2", "--each", "x", "--row", "0"], "--each"),
        (["x**2", "x=1,2", "--row", "0", "--vjp", "1,1"], "--row and --vjp"),
        (["x**2", "x=1,2", "--via", "magic"], "--via"),
        (["x**2", "x=1", "--wrt", "z"], "z"),
        (["x**2", "x=1", "--wrt", ","], "--wrt"),
    ],
)
def test_choices_that_do_not_fit_are_errors(words: list[str], says: str) -> None:
    shown = run("grad", *words)
    assert (shown.status, shown.stdout) == (2, "")
    assert says in shown.stderr


# nothing to differentiate


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["x.sum()", "x=tensor([1,2])"], "int64"),
        (["x.sum()", "x=True,False"], "bool"),
        (["x.sum()", "x=1,2", "i=tensor(1)", "--wrt", "i"], "int64"),
        (["(x > 0).sum()", "x=1,2"], "does not depend"),
        (["x.argmax()", "x=1,2"], "does not depend"),
        (["x.detach().sum()", "x=1,2"], "does not depend"),
        (
            ["torch.heaviside(x, x*0)", "x=1"],
            "no derivative of torch.heaviside (gradcli why step-activation)\n  use a smooth",
        ),
        (
            ["special.zeta(x, 2.5)", "x=3"],
            "no derivative of zeta (gradcli why no-derivative-formula)\n  differentiate by other",
        ),
        (
            ["torch.igamma(x, y)", "x=3", "y=2"],
            "no derivative of torch.igamma by its input (gradcli why no-derivative-formula)",
        ),
        (["tensor(3.)"], "no input"),
        (["x + 1j", "x=1"], ".real"),
    ],
)
def test_nothing_to_differentiate_is_an_error_with_the_cause(words: list[str], says: str) -> None:
    shown = run("grad", *words)
    assert (shown.status, shown.stdout) == (2, "")
    assert says in shown.stderr
    assert "Traceback" not in shown.stderr


def test_what_pytorch_refuses_in_other_words_is_passed_on() -> None:
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    y = x.exp()
    with torch.no_grad():
        y.add_(1)  # no expression can do so
    with pytest.raises(
        MathError, match=r"^PyTorch cannot differentiate this: .*modified by an inplace operation"
    ):
        core.gradients(y.sum(), {"x": x})
    with pytest.raises(torch.OutOfMemoryError), core.refusals():
        raise torch.OutOfMemoryError("none left")


def test_an_unused_input_is_null_with_a_note_and_one_times_zero_is_zero() -> None:
    result = grad("x*2 + 0*z", "x=3", "y=4", "z=5")
    assert result["gradients"] == {"x": 2.0, "y": None, "z": 0.0}
    assert [note["code"] for note in result["notes"]] == ["unused-input"]
    assert "y" in result["notes"][0]["text"]


def test_none_from_autograd_for_every_input_is_null_with_a_note() -> None:
    result = grad("torch.norm(x, 0)", "x=1,2")
    assert result["gradients"] == {"x": None}
    assert result["notes"]


def test_csv_lists_every_element_of_every_input() -> None:
    shown = run("grad", "(w*x).sum()", "x=1,2", "w=3", "--csv").stdout
    assert shown == "name,index,input,gradient\nx,0,1.0,3.0\nx,1,2.0,3.0\nw,,3.0,3.0\n"


def test_csv_quotes_the_index_of_a_matrix() -> None:
    shown = run("grad", "x.sum()", "x=[[1, 2]]", "--csv").stdout
    assert shown == 'name,index,input,gradient\nx,"0,0",1.0,1.0\nx,"0,1",2.0,1.0\n'


# random numbers


def test_random_inputs_are_drawn_in_order_from_one_seeded_generator() -> None:
    torch.manual_seed(7)
    x, y = torch.randn(3), torch.randn(3)
    inner = torch.rand(3)
    words = ["grad", "(x*y*torch.rand(3)).sum()", "x=randn(3)", "y=randn(3)", "--json", "--seed"]
    result = run(*words, "7").json
    assert result["gradients"]["x"] == pytest.approx((y * inner).tolist(), rel=1e-6)
    assert result["gradients"]["y"] == pytest.approx((x * inner).tolist(), rel=1e-6)
    assert run(*words, "7").json == result
    assert run(*words, "8").json != result
    assert run(*words[:-1]).json == run(*words, "0").json


@pytest.mark.parametrize(
    ("command", "job", "drawn"),
    [
        (("grad", "--fn", "mse"), {"fn": "mse"}, {"w": (2,), "x": (2,)}),
        (("loss", "mse"), {"names": "mse"}, {"target": (2,), "pred": (2,)}),
        (("perceptron",), {}, {"target": (1,), "w": (1, 2), "x": (2,)}),
    ],
)
def test_random_inputs_are_drawn_in_the_order_given(
    command: tuple[str, ...], job: dict[str, str], drawn: dict[str, tuple[int, ...]]
) -> None:
    """One generator, seeded once: the words, a job of a batch and the program draw the same."""
    literals = {name: f"rand({','.join(map(str, shape))})" for name, shape in drawn.items()}
    words = [*command, *(f"--{name}={literal}" for name, literal in literals.items())]
    inputs = run(*words, "--json").json["inputs"]
    torch.manual_seed(0)
    for name, shape in drawn.items():
        assert torch.equal(torch.tensor(inputs[name]), torch.rand(shape))
    line = json.dumps({"command": command[0], **job, **literals})
    assert json.loads(run("batch", stdin=line).stdout)["inputs"] == inputs
    lines = run(*words, "--code").stdout.splitlines()
    assert [line.split(" = ")[0] for line in lines if "torch.rand(" in line] == list(drawn)


@pytest.mark.parametrize("words", [[], ["--explain"], ["--via", "backward"], ["--graph", "tree"]])
def test_zeros_that_pytorch_keeps_nowhere_are_zeros(words: list[str]) -> None:
    """The gradient of sgn is a tensor without memory, whose numbers crash Python where they are
    read.
    """
    shown = run("grad", "s = sgn(x); (s*y).sum()", "x=1,-2", "y=3,4", *words)
    assert shown.status == 0, shown.stderr
    assert run("hessian", "sgn(x).sum()", "x=1,-2", "--get", "gradients.x").stdout == "[0.0,0.0]\n"


@pytest.mark.parametrize(
    "call",
    [
        "F.cross_entropy(a, t)",
        "F.cross_entropy(a, target=t)",
        "F.cross_entropy(target=t, input=a)",
        "nn.CrossEntropyLoss()(target=t, input=a)",
    ],
)
def test_the_target_of_an_index_loss_has_no_gradient_wherever_it_stands(call: str) -> None:
    p = torch.softmax(torch.tensor([2, 1, 0.1], dtype=torch.float64), 0)
    result = grad(call, "a=2,1,0.1", "t=1")
    assert result["gradients"]["t"] is None
    assert result["gradients"]["a"] == pytest.approx(
        (p - torch.tensor([0, 1, 0])).tolist(), rel=1e-12
    )
    assert result["notes"] == []


@pytest.mark.parametrize(
    "name",
    ["mse", "l1", "smooth_l1", "huber", "bce", "bce_with_logits", "poisson_nll", "soft_margin"],
)
def test_a_plain_number_as_target_is_a_float(name: str) -> None:
    x = torch.tensor(0.3, requires_grad=True)
    pytorch = getattr(F, LOSSES[name].torch.removeprefix("F."))
    value = pytorch(x, torch.tensor(1.0))
    value.backward()
    assert x.grad is not None
    found = run("grad", f"{name}(x, 1)", "x=0.3", "--json").json
    assert found["value"] == pytest.approx(value.item())
    assert found["gradients"]["x"] == pytest.approx(x.grad.item())


def test_the_classes_may_be_a_column_of_the_data_or_have_another_shape() -> None:
    data = torch.tensor([[0.0, 1, 2], [1, 3, 4]], requires_grad=True)
    torch.nn.functional.cross_entropy(data[:, 1:], data[:, 0].long()).backward()  # type: ignore[no-untyped-call]
    found = run("grad", "F.cross_entropy(D[:, 1:], D[:, 0])", "D=0,1,2;1,3,4", "--json").json
    assert data.grad is not None
    assert torch.allclose(torch.tensor(found["gradients"]["D"]), data.grad)
    words = ("F.cross_entropy(z.flatten(0, 1), t.view(-1))", "z=randn(2,1,3)", "t=1;0")
    assert run("grad", *words, "--json").json["gradients"]["t"] is None


def test_the_ledger_leaves_out_operations_on_inputs_that_no_gradient_reaches() -> None:
    words = ("where(x > 2, a, 0).sum()", "x=5,1", "a=2", "--explain", "--json")
    rows = run("grad", *words).json["ledger"]
    operations = [row["name"] for row in rows if "->" in row["operation"]]
    assert operations == ["result", "where(x > 2, a, 0)"]
