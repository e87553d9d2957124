"""Networks whose numbers were published, and networks trained beside a plain PyTorch loop."""

import numpy as np
import pytest
import torch
from torch import nn

from tests.program import run

# Matt Mazur, "A Step by Step Backpropagation Example" (2015): the numbers as printed there.
MAZUR = [
    "x=0.05,0.10", "t=0.01,0.99", "net.0.weight=0.15,0.20;0.25,0.30", "net.0.bias=0.35,0.35",
    "net.2.weight=0.40,0.45;0.50,0.55", "net.2.bias=0.60,0.60", "--dtype", "float64",
]  # fmt: skip
MAZUR_NET = "net = nn.Sequential(nn.Linear(2, 2), nn.Sigmoid(), nn.Linear(2, 2), nn.Sigmoid())"
WEIGHTS = "net.0.weight,net.2.weight"  # he leaves the biases as they are


def test_mazurs_network_has_the_published_error_and_gradients() -> None:
    words = ["grad", f"{MAZUR_NET}; half_sse(net(x), t)", *MAZUR]
    found = run(*words, "--json").json
    assert found["value"] == pytest.approx(0.298371109, abs=5e-10)
    first, second = (found["gradients"][f"net.{layer}.weight"] for layer in (0, 2))
    assert first[0][0] == pytest.approx(0.000438568, abs=5e-10)
    assert second[0][0] == pytest.approx(0.082167041, abs=5e-10)
    assert second[0][1] == pytest.approx(0.0826676, abs=5e-8)
    assert second[1] == pytest.approx([-0.0226025, -0.0227402], abs=5e-8)


def test_mazurs_first_step_is_the_published_one() -> None:
    words = [
        "descend",
        f"{MAZUR_NET}; half_sse(net(x), t)",
        *MAZUR,
        "--wrt",
        WEIGHTS,
        "--lr",
        "0.5",
    ]
    one = run(*words, "--steps", "1", "--json").json
    assert one["value"] == pytest.approx(0.291027924, abs=2e-7)  # from weights with nine digits
    assert one["parameters"]["net.0.weight"] == [
        pytest.approx([0.149780716, 0.19956143], abs=5e-9),
        pytest.approx([0.24975114, 0.29950229], abs=5e-9),
    ]
    assert one["parameters"]["net.2.weight"] == [
        pytest.approx([0.35891648, 0.408666186], abs=5e-9),
        pytest.approx([0.511301270, 0.561370121], abs=5e-9),
    ]


# Andrej Karpathy, "Building makemore Part 2: MLP" (2022): the first five names, blocks of three
# letters, and numbers from a generator with seed 2147483647.
NAMES = ("emma", "olivia", "ava", "isabella", "sophia")
MAKEMORE = "emb = C[X]; h = tanh(emb.view(-1, 6) @ W1 + b1); logits = h @ W2 + b2; cross_entropy(logits, Y)"
DRAWN = ["C=randn(27,2)", "W1=randn(6,100)", "b1=randn(100)", "W2=randn(100,27)", "b2=randn(27)"]
LOSSES = [
    17.76971435546875, 13.656402587890625, 11.298768997192383, 9.452457427978516, 7.984262943267822,
    6.891321182250977, 6.100014686584473, 5.452036380767822, 4.898152828216553, 4.414664268493652,
]  # fmt: skip


def makemore() -> list[str]:
    """The words of the inputs X, [32, 3], and Y, [32], of the first five names."""
    blocks: list[list[int]] = []
    letters: list[int] = []
    for name in NAMES:
        block = [0, 0, 0]
        for letter in f"{name}.":
            blocks.append(block)
            letters.append(0 if letter == "." else ord(letter) - ord("a") + 1)
            block = [*block[1:], letters[-1]]
    return [f"X=tensor({blocks})", f"Y=tensor({letters})"]


def test_makemores_first_steps_have_the_published_losses() -> None:
    words = ["descend", MAKEMORE, *makemore(), *DRAWN, "--seed", "2147483647"]
    found = run(*words, "--lr", "0.1", "--steps", "9", "--json").json
    assert [step["value"] for step in found["steps"]] == pytest.approx(LOSSES, rel=2e-6)


def test_makemores_step_is_the_backward_pass_by_hand() -> None:
    """The gradients of a small one, four letters and three neurons, against the chain rule in NumPy."""
    tables = {"C": (4, 2), "W1": (6, 3), "b1": (3,), "W2": (3, 4), "b2": (4,)}
    draw = np.random.default_rng(5)
    values = {name: draw.normal(size=shape).round(2) for name, shape in tables.items()}
    x, y = np.array([[0, 0, 0], [0, 0, 2], [0, 2, 3], [2, 3, 3]]), np.array([2, 3, 3, 1])
    given = [f"{name}={value.tolist()}" for name, value in values.items()]
    words = ["grad", MAKEMORE, f"X=tensor({x.tolist()})", f"Y=tensor({y.tolist()})", *given]
    found = run(*words, "--dtype", "float64", "--json").json
    emb = values["C"][x].reshape(4, 6)
    h = np.tanh(emb @ values["W1"] + values["b1"])
    logits = h @ values["W2"] + values["b2"]
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    assert found["value"] == pytest.approx(-np.log(p[range(4), y]).mean(), rel=1e-12)
    d_logits = (p - np.eye(4)[y]) / 4
    d_before = (d_logits @ values["W2"].T) * (1 - h**2)
    d_emb = (d_before @ values["W1"].T).reshape(4, 3, 2)
    d_c = np.zeros((4, 2))
    np.add.at(d_c, x, d_emb)
    by_hand = {
        "C": d_c, "W1": emb.T @ d_before, "b1": d_before.sum(0), "W2": h.T @ d_logits, "b2": d_logits.sum(0),
    }  # fmt: skip
    for name, slope in by_hand.items():
        np.testing.assert_allclose(found["gradients"][name], slope, rtol=1e-10, atol=1e-14)


def moons() -> tuple[torch.Tensor, torch.Tensor]:
    """Two half circles of 20 points each, [40, 2], and their classes -1 and 1, [40, 1]."""
    angle = torch.linspace(0, torch.pi, 20)
    upper = torch.stack([angle.cos(), angle.sin()], 1)
    lower = torch.stack([1 - angle.cos(), 0.5 - angle.sin()], 1)
    points = torch.cat([upper, lower]).mul(1000).round() / 1000
    return points, torch.cat([-torch.ones(20, 1), torch.ones(20, 1)])


MOONS_NET = "net = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 1))"


def test_two_moons_are_separated_as_by_a_plain_loop() -> None:
    """The classifier of micrograd's demonstration: two hidden layers of 16, the hinge loss."""
    x, t = moons()
    inputs = [f"X={x.tolist()}", f"t={t.tolist()}"]
    words = ["descend", f"{MOONS_NET}; relu(1 - t*net(X)).mean()", *inputs, "--wrt"]
    names = [f"net.{layer}.{kind}" for layer in (0, 2, 4) for kind in ("weight", "bias")]
    settings = ["--optimizer", "adam", "--lr", "0.05", "--steps", "60", "--seed", "3"]
    found = run(*words, ",".join(names), *settings, "--json").json

    torch.manual_seed(3)
    net = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 1))
    optimizer = torch.optim.Adam(net.parameters(), lr=0.05)
    for step in found["steps"]:
        loss = torch.relu(1 - t * net(x)).mean()
        assert np.float32(step["value"]) == np.float32(loss.item())
        if step["step"] < 60:
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    for name, parameter in net.named_parameters():
        assert torch.equal(torch.tensor(found["parameters"][f"net.{name}"]), parameter)
    assert bool(((net(x) > 0) == (t > 0)).all())


SPIRAL = "h = relu(X @ W + b); s = h @ W2 + b2; cross_entropy(s, y) + 0.0005*((W*W).sum() + (W2*W2).sum())"


@pytest.mark.exhaustive
def test_the_spiral_needs_a_hidden_layer() -> None:
    """CS231n's case study (2015): a linear classifier is right for about half of the points, a hidden
    layer of 100 for nearly all.
    """
    draw = np.random.RandomState(0)
    radius = np.linspace(0.0, 1, 100)
    points, labels = [], []
    for label in range(3):
        angle = np.linspace(label * 4, (label + 1) * 4, 100) + draw.randn(100) * 0.2
        points.append(np.c_[radius * np.sin(angle), radius * np.cos(angle)].round(4))
        labels += [label] * 100
    x, y = np.concatenate(points), np.array(labels)
    data = [f"X={x.tolist()}", f"y=tensor({y.tolist()})"]
    linear = [
        "cross_entropy(X @ W + b, y) + 0.0005*(W*W).sum()",
        *data,
        "W=zeros(2,3)",
        "b=zeros(3)",
    ]
    shared = ["--lr", "1", "--wrt"]
    found = run("descend", *linear, *shared, "W,b", "--steps", "190", "--json").json
    w, b = (np.array(found["parameters"][name]) for name in ("W", "b"))
    assert 0.45 < np.mean((x @ w + b).argmax(1) == y) < 0.60
    deep = [SPIRAL, *data, "W=randn(2,100)", "b=zeros(100)", "W2=randn(100,3)", "b2=zeros(3)"]
    found = run("descend", *deep, *shared, "W,b,W2,b2", "--steps", "1500", "--json").json
    w, b, w2, b2 = (np.array(found["parameters"][name]) for name in ("W", "b", "W2", "b2"))
    assert np.mean((np.maximum(x @ w + b, 0) @ w2 + b2).argmax(1) == y) > 0.95
