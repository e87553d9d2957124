"""The lecture's statements, each shown by a command and held against a closed form or plain
PyTorch.

The numbers are those of the statements in the lecture's walk-through, which has a passage for each,
in both languages.
"""

import math
import re
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from tests.program import run


def shown(*words: str) -> Any:
    """The JSON object of one call in float64."""
    return run(*words, "--dtype", "float64", "--json").json


def computed(formula: str, *inputs: str) -> Any:
    """The value of a formula that `derive` shows, at some inputs."""
    return shown("jacobian", formula, *inputs)["value"]


def logistic(z: float) -> float:
    return 1 / (1 + math.exp(-z))


@pytest.mark.parametrize("folder", ["docs", "docs/zh-TW"])
def test_each_statement_has_a_passage_with_a_command_and_a_test(folder: str) -> None:
    page = (Path(__file__).parents[2] / folder / "walk-through.md").read_text(encoding="utf-8")
    numbered = re.findall(r"^### (\d+)\. (.*?)(?=^##|\Z)", page, re.MULTILINE | re.DOTALL)
    assert [int(number) for number, _ in numbered] == list(range(1, 15))
    for number, passage in numbered:
        assert re.search(r"^\$ gradcli ", passage, re.MULTILINE), number
        assert any(name.startswith(f"test_{number}_") for name in globals()), number


# 1


def test_1_a_step_answers_only_where_z_is_positive() -> None:
    (step,) = shown("activate", "step", "--x", "-2,-0.001,0,0.001,2")["functions"]
    assert step["value"] == [0, 0, 0, 1, 1]


def test_1_a_step_cannot_be_differentiated_and_the_program_says_so() -> None:
    result = shown("activate", "step", "--x", "-2,0,2")
    assert result["functions"][0]["derivative"] is None
    assert any("step" in note["text"] and "PyTorch" in note["text"] for note in result["notes"])
    x = torch.zeros(1, requires_grad=True)
    with pytest.raises((RuntimeError, NotImplementedError), match="heaviside"):
        torch.autograd.grad(torch.heaviside(x, torch.zeros(1)).sum(), x)


def test_1_a_gradient_through_the_step_is_an_error_that_names_it() -> None:
    found = run("grad", "torch.heaviside(x, x*0).sum()", "x=-1,2")
    assert found.status == 2
    assert "no derivative" in found.stderr
    assert "heaviside" in found.stderr


# 2


def test_2_sigmoid_is_one_half_at_0_and_near_0_and_1_far_out() -> None:
    (sigmoid,) = shown("activate", "sigmoid", "--x", "-100,0,100")["functions"]
    assert sigmoid["value"] == pytest.approx([math.exp(-100), 0.5, 1.0], rel=1e-12)


def test_2_its_slope_is_s_times_1_minus_s_and_peaks_at_0_with_a_quarter() -> None:
    (sigmoid,) = shown("activate", "sigmoid", "--x", "linspace(-10,10,41)")["functions"]
    assert sigmoid["derivative"] == pytest.approx([s * (1 - s) for s in sigmoid["value"]], rel=1e-9)
    assert max(sigmoid["derivative"]) == sigmoid["derivative"][20] == 0.25


def test_2_far_out_it_saturates() -> None:
    (sigmoid,) = shown("activate", "sigmoid", "--x", "-20,20")["functions"]
    assert all(0 < slope < 1e-8 for slope in sigmoid["derivative"])
    (single,) = run("activate", "sigmoid", "--x", "100", "--json").json["functions"]
    assert single["derivative"] == 0.0


def test_2_the_three_spellings_of_it_are_one() -> None:
    spelt = [
        shown("grad", f"{name}(z)", "z=0.3") for name in ("sigmoid", "torch.sigmoid", "F.sigmoid")
    ]
    spelt.append(shown("grad", "torch.nn.functional.sigmoid(z)", "z=0.3"))
    assert [result["value"] for result in spelt] == pytest.approx([logistic(0.3)] * 4, rel=1e-12)
    assert len({result["gradients"]["z"] for result in spelt}) == 1


def test_2_from_far_out_the_loss_stays_flat_for_long() -> None:
    words = ["half_sse(sigmoid(z), t)", "z=-5", "t=1", "--wrt", "z", "--lr", "1", "--steps", "200"]
    values = [row["value"] for row in shown("descend", *words)["steps"]]
    z, expected = -5.0, []
    for _ in range(201):
        s = logistic(z)
        expected.append((s - 1) ** 2 / 2)
        z -= (s - 1) * s * (1 - s)
    assert values == pytest.approx(expected, rel=1e-9)
    assert values[100] > 0.97 * values[0]
    assert values[200] < 0.03 * values[0]


# 3


def test_3_tanh_is_a_sigmoid_stretched_and_moved() -> None:
    points = [-2.0, -0.5, 0.0, 0.7, 3.0]
    (tanh,) = shown("activate", "tanh", "--x", str(points))["functions"]
    (sigmoid,) = shown("activate", "sigmoid", "--x", str([2 * x for x in points]))["functions"]
    assert tanh["value"] == pytest.approx(
        [2 * s - 1 for s in sigmoid["value"]], rel=1e-12, abs=1e-15
    )
    assert tanh["value"] == pytest.approx([math.tanh(x) for x in points], rel=1e-12)
    difference = shown("grad", "(tanh(x) - (2*sigmoid(2*x) - 1)).abs().max()", f"x={points}")
    assert difference["value"] < 1e-15


def test_3_its_slope_is_1_minus_its_square_and_its_range_is_open() -> None:
    (tanh,) = shown("activate", "tanh", "--x", "linspace(-5,5,11)")["functions"]
    assert tanh["derivative"] == pytest.approx([1 - y * y for y in tanh["value"]], rel=1e-9)
    assert all(-1 < y < 1 for y in tanh["value"])


# 4


def test_4_relu_is_0_below_linear_above_and_its_slope_0_or_1() -> None:
    (relu,) = shown("activate", "relu", "--x", "-5,-0.1,0,0.1,5")["functions"]
    assert relu["value"] == [0, 0, 0, 0.1, 5]
    assert relu["derivative"] == [0, 0, 0, 1, 1]


def test_4_a_chain_of_relus_keeps_the_gradient_and_one_of_sigmoids_loses_it() -> None:
    relus = shown("grad", "relu(relu(relu(relu(relu(x)))))", "x=2")
    sigmoids = shown("grad", "sigmoid(sigmoid(sigmoid(sigmoid(sigmoid(x)))))", "x=2")
    assert relus["gradients"]["x"] == 1.0
    slope, value = 1.0, 2.0
    for _ in range(5):
        value = logistic(value)
        slope *= value * (1 - value)
    assert sigmoids["gradients"]["x"] == pytest.approx(slope, rel=1e-12)
    assert slope < 0.25**5 * 2


@pytest.mark.parametrize(
    ("init", "expected"),
    [("kaiming", 1.0), ("xavier", math.sqrt(1 / 2)), ("normal", math.sqrt(64 / 2))],
)
def test_4_through_relus_the_weights_decide(init: str, expected: float) -> None:
    """Half of the 64 inputs pass the gradient on, times weights of variance 2/64, 1/64 and 1."""
    found = shown("flow", "--activation", "relu", "--init", init, "--layers", "20")["factors"][
        "relu"
    ]
    assert found == pytest.approx(expected, rel=0.05)


# 5


def test_5_mean_squared_error() -> None:
    (mse,) = shown("loss", "mse", "--pred", "1,2,4", "--target", "1,1,1")["losses"]
    assert mse["value"] == pytest.approx((0 + 1 + 9) / 3)


def test_5_binary_cross_entropy_of_a_probability_and_of_a_logit() -> None:
    p = logistic(0.4)
    (bce,) = shown("loss", "bce", "--pred", str(p), "--target", "1")["losses"]
    (logit,) = shown("loss", "bce_with_logits", "--pred", "0.4", "--target", "1")["losses"]
    assert bce["value"] == pytest.approx(-math.log(p), rel=1e-12)
    assert logit["value"] == pytest.approx(bce["value"], rel=1e-12)
    assert logit["gradient"] == pytest.approx(p - 1, rel=1e-12)


def test_5_cross_entropy_is_softmax_and_negative_log_likelihood_together() -> None:
    logits = [2.0, 1.0, 0.1]
    total = sum(map(math.exp, logits))
    (together,) = shown("loss", "cross_entropy", "--pred", str(logits), "--target", "2")["losses"]
    logs = shown("activate", "log_softmax", "--x", str(logits))["functions"][0]["value"]
    (apart,) = shown("loss", "nll", "--pred", str(logs), "--target", "2")["losses"]
    assert together["value"] == pytest.approx(math.log(total) - 0.1, rel=1e-12)
    assert apart["value"] == pytest.approx(together["value"], rel=1e-12)
    slopes = [math.exp(x) / total - (i == 2) for i, x in enumerate(logits)]
    assert together["gradient"] == pytest.approx(slopes, rel=1e-12)


# 6


def test_6_the_squared_norm_is_the_sum_of_squares_and_mse_their_mean() -> None:
    mse, sse, norm = shown("loss", "mse", "sse", "l2_norm", "--pred", "1,2,3", "--target", "3,2,1")[
        "losses"
    ]
    squares = 4 + 0 + 4
    assert mse["value"] == pytest.approx(squares / 3)
    assert sse["value"] == squares
    assert norm["value"] == pytest.approx(math.sqrt(squares))
    squared = shown(
        "grad", "torch.norm(y - pred, 2).pow(2)", "y=3,2,1", "pred=1,2,3", "--wrt", "pred"
    )
    assert squared["value"] == pytest.approx(sse["value"])
    assert squared["gradients"]["pred"] == pytest.approx(sse["gradient"])


def test_6_for_one_element_or_with_sum_they_agree() -> None:
    mse, sse = shown("loss", "mse", "sse", "--pred", "5", "--target", "2")["losses"]
    assert mse["value"] == sse["value"] == 9.0
    summed, sse = shown(
        "loss", "mse", "sse", "--pred", "1,2", "--target", "0,0", "--reduction", "sum"
    )["losses"]
    assert summed["value"] == sse["value"] == 5.0


# 7


def test_7_the_worked_case() -> None:
    result = shown("grad", "F.mse_loss(pred, target)", "pred=2,", "target=1,", "--wrt", "pred")
    assert result["value"] == 1.0
    by_w = shown(
        "grad",
        "pred = x*w + b; F.mse_loss(pred, target)",
        "x=1",
        "w=2,",
        "b=0",
        "target=1,",
        "--wrt",
        "w",
    )
    assert (by_w["value"], by_w["gradients"]) == (1.0, {"w": [2.0]})
    x, w = torch.tensor(1.0), torch.tensor([2.0], requires_grad=True)
    (slope,) = torch.autograd.grad(F.mse_loss(x * w, torch.ones(1)), [w])
    assert slope.tolist() == [2.0]


def test_7_as_one_short_line() -> None:
    assert (
        run("grad", "--fn", "mse", "--x", "1", "--w", "2", "--get", "gradients.w").stdout == "2.0\n"
    )
    assert run("grad", "--fn", "mse", "--x", "1", "--w", "2", "--get", "value").stdout == "1.0\n"


def test_7_the_order_of_the_arguments_does_not_matter() -> None:
    words = ["x=1", "w=2", "t=1", "--wrt", "w"]
    one, other = shown("grad", "mse(x*w, t)", *words), shown("grad", "mse(t, x*w)", *words)
    assert one["value"] == other["value"] == 1.0
    assert one["gradients"] == other["gradients"] == {"w": 2.0}


def test_7_a_step_of_a_quarter_halves_the_distance() -> None:
    rows = shown(
        "descend", "mse(w*x, y)", "w=2", "x=1", "y=1", "--wrt", "w", "--lr", "0.25", "--steps", "4"
    )["steps"]
    assert [row["parameters"]["w"] for row in rows] == [1 + 0.5**step for step in range(5)]


def test_7_the_formula_is_derived() -> None:
    formula = shown("derive", "mse(w*x + b, y)", "--wrt", "w")["formulas"]["w"]
    assert computed(formula, "w=2", "x=1", "b=0", "y=1") == 2.0
    assert computed(formula, "w=0.5", "x=-3", "b=1", "y=2") == -6 * (-1.5 + 1 - 2)


# 8


def test_8_the_gradients_asked_for_are_returned() -> None:
    words = ["grad", "mse(w1*x + w2, y)", "x=1,2", "w1=3", "w2=-1", "y=0,1", "--wrt", "w1,w2"]
    result = shown(*words)
    w1, w2 = (torch.tensor(value, dtype=torch.float64, requires_grad=True) for value in (3.0, -1.0))
    x, y = (
        torch.tensor([1.0, 2.0], dtype=torch.float64),
        torch.tensor([0.0, 1.0], dtype=torch.float64),
    )
    expected = torch.autograd.grad(F.mse_loss(w1 * x + w2, y), [w1, w2])
    assert list(result["gradients"]) == ["w1", "w2"]
    assert list(result["gradients"].values()) == pytest.approx(
        [slope.item() for slope in expected], rel=1e-12
    )


def test_8_the_prediction_has_another_derivative_than_the_loss() -> None:
    by_w = [
        shown("grad", text, "x=3", "w=2", "b=0", "--wrt", "w")
        for text in ("w*x + b", "(w*x + b - 1)**2")
    ]
    assert [result["gradients"]["w"] for result in by_w] == [3.0, 2 * (2 * 3 - 1) * 3]


# 9


@pytest.mark.parametrize("name", ["no-grad", "late-flag"])
def test_9_a_flag_that_is_missing_or_set_too_late_leaves_nothing_to_differentiate(
    name: str,
) -> None:
    """The graph that was built keeps what w was: the loss must be computed again."""
    w = torch.tensor(2.0)
    loss = (w - 1) ** 2
    if name == "late-flag":
        w.requires_grad_()
    with pytest.raises(RuntimeError) as said:
        loss.backward()  # type: ignore[no-untyped-call]
    entry = run("why", name, "--json").json
    assert entry["error"] == f"RuntimeError: {said.value}"
    again = torch.tensor(2.0).requires_grad_()
    assert (
        torch.autograd.grad((again - 1) ** 2, again)[0].item()
        == shown("grad", "(w - 1)**2", "w=2")["gradients"]["w"]
    )


# 10


def test_10_backward_gives_the_same_numbers() -> None:
    words = ["grad", "h = w*x; mse(h.tanh(), y)", "x=1,2", "w=0.5", "y=0,1"]
    assert shown(*words, "--via", "backward") == shown(*words, "--via", "grad")


def test_10_a_second_backward_adds_to_grad() -> None:
    x, accumulated = torch.tensor(2.0, requires_grad=True), []
    for _ in range(3):
        (x**2).backward()  # type: ignore[no-untyped-call]
        accumulated.append(str(x.grad))
    assert accumulated == ["tensor(4.)", "tensor(8.)", "tensor(12.)"]
    assert "\n  ".join(["the program prints", *accumulated]) in run("why", "accumulate").stdout


# 11


def test_11_three_outputs_become_probabilities() -> None:
    result = shown("softmax-jacobian", "2.0,1.0,0.1")
    weights = [math.exp(x) for x in (2.0, 1.0, 0.1)]
    assert result["probabilities"] == pytest.approx(
        [weight / sum(weights) for weight in weights], rel=1e-12
    )
    assert sum(result["probabilities"]) == pytest.approx(1, abs=1e-15)
    assert all(0 < p < 1 for p in result["probabilities"])
    assert result["label"] == 0


def test_11_sigmoids_do_not_add_up_to_1() -> None:
    (sigmoid,) = shown("activate", "sigmoid", "--x", "2.0,1.0,0.1")["functions"]
    assert all(0 < p < 1 for p in sigmoid["value"])
    assert sum(sigmoid["value"]) == pytest.approx(logistic(2) + logistic(1) + logistic(0.1))
    assert sum(sigmoid["value"]) > 2


def test_11_softmax_widens_the_gap() -> None:
    p = shown("softmax-jacobian", "2.0,1.0,0.1")["probabilities"]
    assert p[0] / p[1] == pytest.approx(math.e, rel=1e-12)
    assert p[0] / p[1] > 2.0 / 1.0


def test_11_it_is_the_difference_that_counts_not_the_ratio() -> None:
    p, moved, tenth = (
        shown("softmax-jacobian", logits)["probabilities"]
        for logits in ("2,1,0.1", "12,11,10.1", "0.2,0.1,0.01")
    )
    assert moved == pytest.approx(p, rel=1e-12)
    assert tenth[0] / tenth[1] == pytest.approx(math.exp(0.1), rel=1e-12)
    assert tenth[0] / tenth[1] < 0.2 / 0.1


# 12


def test_12_the_jacobian_has_the_lectures_formula_and_signs() -> None:
    result = shown("softmax-jacobian", "2.0,1.0,0.1")
    p = result["probabilities"]
    for i, row in enumerate(result["jacobian"]):
        assert row == pytest.approx(
            [p[i] * (1 - p[j]) if i == j else -p[i] * p[j] for j in range(3)], rel=1e-12
        )
        assert [slope > 0 for slope in row] == [i == j for j in range(3)]
        assert sum(row) == pytest.approx(0, abs=1e-15)


def test_12_the_formula_is_derived() -> None:
    """Times an upstream gradient; one that is 1 at i alone gives row i."""
    formula = shown("derive", "p = softmax(a, 0)", "a=2.0,1.0,0.1")["formulas"]["a"]
    p = shown("softmax-jacobian", "2.0,1.0,0.1")["probabilities"]
    for i in range(3):
        one = str([float(i == j) for j in range(3)])
        row = computed(f"p = softmax(a, 0); {formula}", "a=2.0,1.0,0.1", f"g={one}")
        assert row == pytest.approx([p[i] * ((i == j) - p[j]) for j in range(3)], rel=1e-12)


# 13


def test_13_all_of_p_is_not_one_number_and_the_error_offers_the_ways_out() -> None:
    found = run("grad", "softmax(a)", "a=2.0,1.0,0.1")
    assert found.status == 2
    assert "[3]" in found.stderr
    for way in ("--row", "--vjp", "gradcli jacobian"):
        assert way in found.stderr


def test_13_one_of_them_is_and_has_a_gradient_of_three() -> None:
    slopes = shown("grad", "softmax(a)[1]", "a=2.0,1.0,0.1")["gradients"]["a"]
    row = shown("softmax-jacobian", "2.0,1.0,0.1", "--row", "1")["row"]
    by_row = shown("grad", "softmax(a)", "a=2.0,1.0,0.1", "--row", "1")["gradients"]["a"]
    assert slopes == pytest.approx(row, rel=1e-12)
    assert by_row == pytest.approx(row, rel=1e-12)
    assert [slope > 0 for slope in slopes] == [False, True, False]


def test_13_one_element_of_any_shape_will_do() -> None:
    texts = ("softmax(a)[1]", "softmax(a)[1:2]", "softmax(a)[None, 1:2]")
    number, *others = (shown("grad", text, "a=2.0,1.0,0.1") for text in texts)
    assert [number["value"]] == others[0]["value"] == others[1]["value"][0]
    assert all(other["gradients"] == number["gradients"] for other in others)


def test_13_the_whole_jacobian_is_what_jacrev_says() -> None:
    found = shown("jacobian", "softmax(a)", "a=2.0,1.0,0.1")["jacobian"]["a"]
    a = torch.tensor([2.0, 1.0, 0.1], dtype=torch.float64)
    expected = torch.func.jacrev(lambda a: torch.softmax(a, -1))(a)
    assert torch.allclose(torch.tensor(found, dtype=torch.float64), expected, rtol=1e-12)


# 14


def test_14_one_output() -> None:
    x, w, b, t = [1.0, -2.0, 0.5], [0.1, 0.2, -0.3], 0.05, 1.0
    result = shown("perceptron", "--x", str(x), "--w", str(w), "--b", str(b), "--target", str(t))
    o = logistic(sum(a * c for a, c in zip(x, w, strict=True)) + b)
    assert result["output"] == pytest.approx(o, rel=1e-12)
    assert result["loss"] == pytest.approx((o - t) ** 2 / 2, rel=1e-12)
    assert result["gradients"]["w"] == pytest.approx(
        [(o - t) * o * (1 - o) * xj for xj in x], rel=1e-12
    )


def test_14_several_outputs() -> None:
    x, w, t = [1.0, -2.0], [[0.1, 0.2], [-0.3, 0.4], [0.5, 0.6]], [1.0, 0.0, 1.0]
    result = shown("perceptron", "--x", str(x), "--w", str(w), "--target", str(t))
    for k in range(3):
        o = logistic(sum(a * c for a, c in zip(x, w[k], strict=True)))
        expected = [(o - t[k]) * o * (1 - o) * xj for xj in x]
        assert result["gradients"]["w"][k] == pytest.approx(expected, rel=1e-12)


def test_14_the_formulas_are_derived() -> None:
    """Of one output and of several, in the order of factors that the lecture has."""
    one = ("O = sigmoid(w @ x + b); half_sse(O, t)", "x=1,0.5", "w=0.3,-0.2", "b=0", "t=1")
    several = ("O = sigmoid(W @ x + b); half_sse(O, t)", "x=1,0.5", "W=0.3,-0.2;0.1,0.4", "b=0,0", "t=1,0")  # fmt: skip
    lectures = {"w": "(O - t)*O*(1 - O)*x", "W": "((O - t)*O*(1 - O))[:, None]*x"}
    for (by, lecture), words in zip(lectures.items(), (one, several), strict=True):
        formula = shown("derive", *words, "--wrt", by)["formulas"][by]
        for text in (lecture, formula.rpartition("; ")[2]):
            found = shown("grad", *words, "--wrt", by, "--expect", f"{by} = {text}")["expect"][by]
            assert (found["ok"], found["agreed"]) == (True, 13), text


def test_14_with_the_step_there_is_no_gradient() -> None:
    words = ["--x", "1,0", "--w", "1,1", "--target", "0", "--activation", "step"]
    assert shown("perceptron", *words)["gradients"] == {"w": None, "b": None, "x": None}


@pytest.mark.parametrize(("gate", "converged"), [("and", True), ("or", True), ("xor", False)])
def test_14_the_rule_finds_a_line_if_there_is_one(gate: str, converged: bool) -> None:
    found = run("perceptron", "--train", gate, "--activation", "step", "--json")
    assert found.status == 0
    assert found.json["converged"] is converged


def test_14_two_layers_can_do_xor() -> None:
    words = ["h = relu(X @ A.T + b); h @ w", "X=0,0;0,1;1,0;1,1", "A=1,1;1,1", "b=0,-1", "w=1,-2"]
    assert shown("jacobian", *words)["value"] == [0, 1, 1, 0]
