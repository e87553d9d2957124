"""The statements of the second walk-through, each shown by a command and held against a published
number, a closed form, a loop in Python or plain PyTorch.
"""

import math
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from tests.program import run

PAGES = [
    Path(__file__).parents[2] / folder / "walk-through-2.md" for folder in ("docs", "docs/zh-TW")
]
MAZUR = "z1 = W1 @ x + b1; h = sigmoid(z1); z2 = W2 @ h + b2; o = sigmoid(z2); half_sse(o, t)"
NUMBERS = [
    "x=0.05,0.10",
    "W1=.15,.20;.25,.30",
    "b1=.35",
    "W2=.40,.45;.50,.55",
    "b2=.60",
    "t=.01,.99",
]
CORNERS = "0,0;0,1;1,0;1,1"
LINE = "X=1,0;1,1;1,2"


def asked(*words: str, status: int = 0) -> Any:
    """The JSON object of one call."""
    found = run(*words, "--json")
    assert found.status == status, found.stderr
    return found.json


def shown(*words: str, status: int = 0) -> Any:
    """The JSON object of one call in float64."""
    return asked(*words, "--dtype", "float64", status=status)


def commands(number: int) -> list[list[str]]:
    """The words of the commands of one section, but those about dtype and form of output."""
    page = PAGES[0].read_text(encoding="utf-8")
    passage = re.search(rf"^### {number}\. .*?(?=^##|\Z)", page, re.MULTILINE | re.DOTALL)
    assert passage
    typed = re.findall(r"^\$ gradcli (.*?)(?: # exit 1)?$", passage[0], re.MULTILINE)
    form = re.compile(r" --(?:dtype|get|out) \S+| --quiet")
    return [shlex.split(form.sub("", line)) for line in typed]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.parent.name)
def test_each_statement_has_a_passage_with_a_command_and_a_test(page: Path) -> None:
    numbered = re.findall(
        r"^### (\d+)\. (.*?)(?=^##|\Z)", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    assert [int(number) for number, _ in numbered] == list(range(1, len(numbered) + 1))
    for number, passage in numbered:
        assert re.search(r"^\$ gradcli ", passage, re.MULTILINE), number
        assert any(name.startswith(f"test_{number}_") for name in globals()), number


def logistic(z: float) -> float:
    return 1 / (1 + math.exp(-z))


def mazur(steps: int, *, late: bool = False) -> dict[str, list[Any]]:
    """Errors, weights and gradients of Mazur's network before each step with lr = 0.5, without
    PyTorch; `late`: the error goes back through the W2 of the next step.
    """
    x, t, both = (0.05, 0.10), (0.01, 0.99), (0, 1)
    w1, w2 = [[0.15, 0.20], [0.25, 0.30]], [[0.40, 0.45], [0.50, 0.55]]
    told: dict[str, list[Any]] = {
        name: [] for name in ("E", "W1", "W2", "dW1", "dW2", "dz1", "dz2")
    }
    for _ in range(steps + 1):
        h = [logistic(sum(w1[i][j] * x[j] for j in both) + 0.35) for i in both]
        o = [logistic(sum(w2[i][j] * h[j] for j in both) + 0.60) for i in both]
        dz2 = [(o[i] - t[i]) * o[i] * (1 - o[i]) for i in both]
        dw2 = [[dz2[i] * h[j] for j in both] for i in both]
        next2 = [[w2[i][j] - 0.5 * dw2[i][j] for j in both] for i in both]
        back = next2 if late else w2
        dz1 = [sum(back[i][j] * dz2[i] for i in both) * h[j] * (1 - h[j]) for j in both]
        dw1 = [[dz1[i] * x[j] for j in both] for i in both]
        error = sum((o[i] - t[i]) ** 2 for i in both) / 2
        now = {"E": error, "W1": w1, "W2": w2, "dW1": dw1, "dW2": dw2, "dz1": dz1, "dz2": dz2}
        for name, number in now.items():
            told[name].append(number)
        w1, w2 = [[w1[i][j] - 0.5 * dw1[i][j] for j in both] for i in both], next2
    return told


def near(number: Any, rel: float = 1e-9) -> Any:
    """`number`, perhaps a nested list, to be compared with another up to rounding."""
    if isinstance(number, list):
        return [near(part, rel) for part in number]
    return pytest.approx(number, rel=rel, abs=1e-12)


# 1 to 4: Mazur's network


def test_1_the_published_numbers_of_the_forward_and_the_backward_pass() -> None:
    found, (error, *_), by_hand = shown("grad", MAZUR, *NUMBERS), mazur(0)["E"], mazur(0)
    assert found["value"] == near(error)
    assert error == pytest.approx(0.298371109, abs=5e-10)
    for name in ("W1", "W2"):
        assert found["gradients"][name] == near(by_hand[f"d{name}"][0])
    assert by_hand["dW2"][0][0][0] == pytest.approx(0.082167041, abs=5e-10)
    assert by_hand["dW1"][0][0][0] == pytest.approx(0.000438568, abs=5e-10)
    assert 187 < by_hand["dW2"][0][0][0] / by_hand["dW1"][0][0][0] < 188


LINES = """\
dz2 = (o - t)*o*(1 - o)
dW2 = outer(dz2, h)
dz1 = {} @ dz2 * h*(1 - h)
dW1 = outer(dz1, x)
"""


def test_2_four_lines_are_the_backward_pass(tmp_path: Path) -> None:
    file = tmp_path / "backward.py"
    file.write_text(LINES.format("W2.T"), encoding="utf-8")
    found = shown("grad", MAZUR, *NUMBERS, "--expect", f"@{file}")
    assert found["ok"]
    for name in ("dz2", "dW2", "dz1", "dW1"):
        assert found["expect"][name]["expected"] == near(mazur(0)[name][0])
    file.write_text(LINES.format("W2"), encoding="utf-8")
    assert shown("grad", MAZUR, *NUMBERS, "--expect", f"@{file}", status=1)["first_wrong"] == "dz1"


def test_2_derive_finds_them() -> None:
    table = run("derive", MAZUR, *NUMBERS, "--steps", "--wrt", "W1,W2").stdout
    for line in (
        "dz2 = do*o*(1 - o)",
        "dh  = W2.T @ dz2",
        "dW1 = outer(dz1, x)",
        "dW2 = outer(dz2, h)",
    ):
        assert f"\n{line}\n" in table


def test_3_a_sequential_is_the_same_network() -> None:
    (words,) = commands(3)
    gradients, by_hand = shown(*words)["gradients"], mazur(0)
    assert gradients["net.0.weight"] == near(by_hand["dW1"][0])
    assert gradients["net.2.weight"] == near(by_hand["dW2"][0])
    assert gradients["net.0.bias"] == near(by_hand["dz1"][0])
    assert sum(gradients["net.0.bias"]) == near(shown("grad", MAZUR, *NUMBERS)["gradients"]["b1"])


def test_4_one_step_moves_the_weights_as_published() -> None:
    found, by_hand = (
        shown("descend", MAZUR, *NUMBERS, *["--wrt", "W1,W2", "--lr", "0.5", "--steps", "1"]),
        mazur(1),
    )
    assert found["parameters"] == {name: near(by_hand[name][1]) for name in ("W1", "W2")}
    assert found["value"] == near(by_hand["E"][1])
    assert by_hand["W1"][1][0][0] == pytest.approx(0.149780716, abs=5e-10)
    assert by_hand["W2"][1][0][0] == pytest.approx(0.35891648, abs=5e-9)


def test_4_the_published_error_is_that_of_the_other_order() -> None:
    assert mazur(1)["E"][1] == pytest.approx(0.291027774, abs=5e-10)
    assert mazur(1, late=True)["E"][1] == pytest.approx(0.291027924, abs=5e-10)


@pytest.mark.exhaustive
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.parent.name)
def test_4_ten_thousand_steps_end_where_a_loop_in_python_ends(page: Path) -> None:
    errors = mazur(10000)["E"]
    assert errors[9999] == pytest.approx(0.0000351085, abs=5e-11)
    after = re.search(r"--steps 10000 .*\n(\S+)\n", page.read_text(encoding="utf-8"))
    assert after
    assert float(after[1]) == pytest.approx(errors[10000], rel=1e-9)


# 5 and 6: micrograd


def test_5_the_published_gradients_of_a_neuron() -> None:
    (words,) = commands(5)
    found = shown(*words)
    assert found["value"] == pytest.approx(math.sqrt(0.5), rel=1e-9)
    assert found["gradients"] == {
        name: near(number, 1e-8)
        for name, number in {"x1": -1.5, "x2": 0.5, "w1": 1.0, "w2": 0.0, "b": 0.5}.items()
    }


def test_6_the_paths_add_up_and_one_that_is_left_out_is_named() -> None:
    a, b = -2.0, 3.0
    words = ("grad", "d = a*b; e = a + b; f = d*e", f"a={a}", f"b={b}")
    assert shown(*words)["gradients"] == {"a": 2 * a * b + b * b, "b": a * a + 2 * a * b}
    missed = shown(*words, "--expect", f"b={a * b}", status=1)["expect"]["b"]
    assert missed["slip"] == "missing-path"


def test_6_the_published_numbers_of_the_readme() -> None:
    found = shown(*commands(6)[2])
    assert found["value"] == pytest.approx(24.7041, abs=5e-5)
    assert found["gradients"]["a"] == pytest.approx(138.8338, abs=5e-5)
    assert found["gradients"]["b"] == pytest.approx(645.5773, abs=5e-5)


# 7 to 9: XOR


def test_7_the_best_that_one_neuron_can_say_is_one_half() -> None:
    (words,) = commands(7)
    found = shown(*words)
    assert found["value"] == near(math.log(2))
    assert found["gradients"] == {"w": [0.0, 0.0], "b": 0.0}
    assert found["kind"] == "minimum"
    corners = torch.tensor([[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]], dtype=torch.float64)
    expected = torch.linalg.eigvalsh(corners.T @ corners / 16)  # s (1 - s) / 4
    assert found["eigenvalues"] == near(expected.tolist())


def xor(seeds: int, width: int) -> Tensor:
    """The losses of networks with one hidden layer after 200 steps of Adam, [seeds], by a loop of
    plain PyTorch over all of them at once.
    """
    corners = torch.tensor([[0.0, 0], [0, 1], [1, 0], [1, 1]])
    drawn = []
    for seed in range(seeds):
        torch.manual_seed(seed)
        drawn.append([*nn.Linear(2, width).parameters(), *nn.Linear(width, 1).parameters()])
    stacked = [
        torch.stack(list(same)).detach().requires_grad_() for same in zip(*drawn, strict=True)
    ]
    optimizer = torch.optim.Adam(stacked, lr=0.1)
    target = torch.tensor([0.0, 1, 1, 0])

    def losses() -> Tensor:
        w1, b1, w2, b2 = stacked
        h = torch.tanh(corners @ w1.mT + b1[:, None])
        outputs = (h @ w2.mT + b2[:, None])[..., 0]
        wide = target.expand_as(outputs)
        return F.binary_cross_entropy_with_logits(outputs, wide, reduction="none").mean(-1)

    for _ in range(200):
        optimizer.zero_grad()
        losses().sum().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return losses().detach()


@pytest.mark.exhaustive
def test_8_xor_is_learnt_as_a_plain_loop_learns_it() -> None:
    narrow = xor(20, 2)
    learnt, *_, stuck, wide = commands(8)
    ends = [asked(*words)["value"] for words in (learnt, stuck, wide)]
    expected = [float(narrow[0]), float(narrow[1]), float(xor(2, 8)[1])]
    assert ends == pytest.approx(expected, rel=1e-2)
    assert ends[1] == pytest.approx(math.log(2) / 2, abs=1e-2)
    assert [int((losses < 0.05).sum()) for losses in (narrow, xor(20, 4), xor(20, 8))] == [
        7,
        19,
        20,
    ]


def test_8_the_hidden_layer_joins_two_corners(tmp_path: Path) -> None:
    learnt, _, _, hidden, *_ = commands(8)
    run(*learnt, "--out", str(tmp_path / "xor.npz"))
    h = torch.tensor(run(*hidden, "--json", cwd=str(tmp_path)).json["value"])
    assert torch.dist(h[0], h[3]) < 0.1
    assert min(torch.dist(h[i], h[j]) for i, j in ((0, 1), (0, 2), (1, 2), (1, 3))) > 1


def test_9_equal_neurons_get_equal_gradients() -> None:
    (words, _) = commands(9)
    gradient = torch.tensor(shown(*words)["gradients"]["net.0.weight"])
    corners = torch.tensor([[0.0, 0], [0, 1], [1, 0], [1, 1]])
    h = torch.tanh(corners.sum(1))
    slopes = 2 * (2 * h - torch.tensor([0.0, 1, 1, 0])) * (1 - h**2) / 4
    assert gradient.allclose((slopes @ corners).expand(2, 2))


# 10 and 11: a deep net


def norms(activation: type[nn.Module]) -> list[float]:
    """The norms of the gradient that reaches the output of each layer, of the mean of the outputs
    weighted by random numbers, by plain PyTorch.
    """
    torch.manual_seed(0)
    h = x = torch.randn(100, 64)
    linears = [nn.Linear(64, 64) for _ in range(4)] + [nn.Linear(64, 1)]
    outputs = []
    for linear in linears:
        outputs.append(linear(h))
        outputs.append(activation()(outputs[-1]))
        h = outputs[-1]
    del outputs[-1]
    loss = (outputs[-1] * torch.randn(len(x), 1)).mean()
    return [float(slope.norm()) for slope in torch.autograd.grad(loss, outputs)]


def test_10_the_gradient_vanishes_as_in_plain_pytorch() -> None:
    (words,) = commands(10)
    found = asked(*words)
    expected = norms(nn.Sigmoid)
    assert [row["gradient_norm"] for row in found["layers"]] == pytest.approx(expected, rel=1e-4)
    assert "vanishing" in found["verdict"]
    assert expected[0] / expected[-1] == pytest.approx(0.0004, rel=0.05)
    spread = [row["std"] for row in found["layers"]]
    assert spread[-1] == pytest.approx(0.0003, rel=0.2)


def test_11_relu_with_its_own_weights_keeps_the_gradient() -> None:
    bare, cured, sigmoids = (asked(*words) for words in (*commands(11)[:2], commands(11)[2]))
    assert [row["gradient_norm"] for row in bare["layers"]] == pytest.approx(
        norms(nn.ReLU), rel=1e-4
    )
    assert ["vanishing" in found["verdict"] for found in (bare, cured, sigmoids)] == [
        True,
        False,
        True,
    ]
    assert "steady" in cured["verdict"]
    first, *_, last = (row["gradient_norm"] for row in cured["layers"])
    assert 0.5 < first / last < 2


# 12 to 14: optimizers


def descended(loss: str, w: float, *words: str) -> list[float]:
    """The parameter before each step and after the last."""
    found = shown("descend", loss, f"w={w}", "--lr", "0.1", *words)
    return [row["parameters"]["w"] for row in found["steps"]]


def adam(w: float, slope: Any, steps: int, lr: float = 0.1, eps: float = 1e-8) -> list[float]:
    """The same by the formulas of Adam."""
    path, m, v = [w], 0.0, 0.0
    for t in range(1, steps + 1):
        g = slope(w)
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        w -= lr * (m / (1 - 0.9**t)) / (math.sqrt(v / (1 - 0.999**t)) + eps)
        path.append(w)
    return path


def test_12_momentum_adds_up_old_gradients() -> None:
    path, buffer = [3.0], 0.0
    for _ in range(3):
        buffer = 0.9 * buffer + 2 * (path[-1] - 1)
        path.append(path[-1] - 0.1 * buffer)
    assert descended("(w - 1)**2", 3, "--steps", "3", "--set", "momentum=0.9") == near(path)
    first, third = path[0] - path[1], path[2] - path[3]
    assert third / first == pytest.approx(1.99)
    assert (path[2] - 1) / (path[0] - 1) < 0.5


def test_13_adam_goes_lr_in_its_first_step() -> None:
    words = ("--optimizer", "adam", "--steps", "3")
    assert descended("(w - 1)**2", 3, *words) == near(adam(3, lambda w: 2 * (w - 1), 3))
    for scale in (1, 1000):
        assert descended(f"{scale}*(w - 1)**2", 3, *words)[1] == pytest.approx(2.9, abs=1e-8)
    small = descended("1e-9*(w - 1)**2", 3, *words)[1]
    assert 3 - small == pytest.approx(0.1 * 4e-9 / (4e-9 + 1e-8), rel=1e-9)


def test_13_the_states_that_are_shown_are_those_of_the_formulas() -> None:
    found = shown(
        "descend",
        "(w - 1)**2",
        *["w=3", "--lr", "0.1", "--steps", "3", "--optimizer", "adam", "--explain"],
    )
    path, m, v = adam(3, lambda w: 2 * (w - 1), 3), 0.0, 0.0
    for row, before, after in zip(found["updates"], path, path[1:], strict=False):
        g = 2 * (before - 1)
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        assert row["gradient"] == near(g)
        assert (row["state"]["m"], row["state"]["v"]) == (near(m), near(v))
        assert row["update"] == near(after - before, 1e-6)


def test_14_with_the_corrections_a_constant_gradient_makes_equal_steps() -> None:
    path = descended("4*w", 1, "--optimizer", "adam", "--steps", "3")
    assert path == pytest.approx([1, 0.9, 0.8, 0.7], abs=1e-8)
    assert 0.1 * 0.4 / math.sqrt(0.016) > 0.3


# 15 to 17: directions


def test_15_both_modes_give_the_published_numbers() -> None:
    words = ("grad", "log(x1) + x1*x2 - sin(x2)", "x1=2", "x2=5")
    found = shown(*words, "--jvp", "x1=1")
    assert found["value"] == near(math.log(2) + 10 - math.sin(5))
    assert found["jvp"] == near(1 / 2 + 5)
    assert shown(*words)["gradients"] == {"x1": near(5.5), "x2": near(2 - math.cos(5))}
    assert 2 - math.cos(5) == pytest.approx(1.716, abs=5e-4)


def test_16_a_row_and_a_column_meet_in_the_same_number() -> None:
    whole, forward, backward = commands(16)
    column, row = shown(*forward)["jvp"], shown(*backward)["gradients"]["x"]
    z = [0.5 - 1.0, -1.0 - 0.5]
    slopes = [1 - math.tanh(number) ** 2 for number in z]
    rows = [[slopes[0], 0, 2 * slopes[0]], [0, -slopes[1], slopes[1]]]
    assert shown(*whole)["jacobian"]["x"] == near(rows)
    assert column == near([7 * slopes[0], slopes[1]])
    assert row == near([slopes[0], slopes[1], 2 * slopes[0] - slopes[1]])
    assert column[0] - column[1] == near(row[0] + 2 * row[1] + 3 * row[2])


def test_17_the_hessian_of_logsumexp_is_the_jacobian_of_softmax() -> None:
    p = torch.tensor([2, 1, 0.1], dtype=torch.float64).softmax(0)
    found = shown("hessian", "logsumexp(a, 0)", "a=2,1,0.1", "--hvp", "a=1,0,0")
    assert found["hvp"]["a"] == near((p.diag() - p.outer(p))[:, 0].tolist())
    assert "hessian" not in found


# 18 and 19: batches


def test_18_every_part_has_its_shape() -> None:
    words, wrong = commands(18)
    shapes = {row["expression"]: row["shape"] for row in shown(*words)["shapes"]}
    h, out = "tanh(hidden(X))", "out(tanh(hidden(X)))"
    assert shapes == {"hidden(X)": [5, 3], h: [5, 3], out: [5, 1], f"mse({out}, y)": []}
    refused = run(*wrong)
    assert refused.status == 2
    assert "net[2]" in refused.stderr
    mended = [word.replace("nn.Linear(4,1)", "nn.Linear(3,1)") for word in wrong]
    assert "write nn.Linear(3, 1)" in refused.stderr
    assert torch.tensor(shown(*mended)["value"]).shape == (5, 1)


def test_19_the_mean_of_the_samples_gradients_is_that_of_the_batch() -> None:
    samples, whole = commands(19)[:2]
    rows = [row["gradients"]["w"] for row in shown(*samples)["rows"]]
    assert rows == [[-2 * y * 1, -2 * y * x] for x, y in ((0, 1), (1, 3), (2, 5))]
    mean = [sum(column) / 3 for column in zip(*rows, strict=True)]
    assert shown(*whole)["gradients"]["w"] == near(mean)


# 20 to 22: what goes wrong


def test_20_a_loss_that_broadcasts_learns_the_mean() -> None:
    wrong, right = (asked(*words) for words in commands(20))
    assert [note["code"] for note in wrong["notes"]] == ["broadcast"]
    assert wrong["parameters"]["w"] == [[pytest.approx(3, abs=1e-3)], [pytest.approx(0, abs=1e-3)]]
    assert not right["notes"]
    assert right["parameters"]["w"] == [[pytest.approx(1, abs=1e-3)], [pytest.approx(2, abs=1e-3)]]


def test_21_a_dead_layer_leaves_only_the_last_bias() -> None:
    (words,) = commands(21)
    found = shown(*words)
    alive = {
        name for name, slope in found["gradients"].items() if any(torch.tensor(slope).flatten())
    }
    assert alive == {"net.2.bias"}
    assert "dead-relu" in [note["code"] for note in found["notes"]]


def test_22_a_forgotten_count_is_recognised_and_makes_the_steps_too_long() -> None:
    words = ("mse(X @ w, y)", LINE, "w=0,0", "y=1,3,5", "--wrt", "w")
    found = shown("grad", *words, "--expect", "w = 2*X.T @ (X @ w - y)", status=1)
    assert found["expect"]["w"]["slip"] == "sum-for-mean"
    assert found["expect"]["w"]["expected"] == near(
        [3 * slope for slope in found["gradients"]["w"]]
    )
    curvature = 2 * torch.linalg.eigvalsh(torch.tensor([[3.0, 3], [3, 5]])).max()
    assert 0.2 * curvature / 3 < 2 < 0.2 * curvature
    for loss, stopped in (("mse", "steps"), ("sse", "diverged")):
        found = run("descend", f"{loss}(X @ w, y)", *words[1:], "--lr", "0.2", "--json").json
        assert found["stopped"] == stopped
