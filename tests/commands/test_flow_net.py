"""`flow --net`: the gradient through the user's network, against plain PyTorch with hooks; verdicts on
networks that are known to vanish, explode, die and hold; cures, which must do what they say.
"""

import json
import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gradcli import core
from gradcli.evaluate.job import default_dtype
from tests.choice import rare
from tests.program import printed, run


def flow(net: str, x: str, *words: str) -> Any:
    return run("flow", "--net", net, "--x", x, *words, "--json").json


def stack(layer: str, activation: str, count: int) -> str:
    """A network of `count` layers and activations after all but the last."""
    return f"nn.Sequential({f', {activation}, '.join([layer] * count)})"


SIGMOIDS = stack("nn.Linear(16,16)", "nn.Sigmoid()", 6)
RELUS = stack("nn.Linear(64,64)", "nn.ReLU()", 6)
X16, X64 = "randn(64,16)", "randn(64,64)"

NETS: dict[str, tuple[str, str, Callable[[], nn.Module]]] = {
    "a perceptron of two layers": (
        "nn.Sequential(nn.Linear(3,5), nn.Tanh(), nn.Linear(5,2))",
        "randn(7,3)",
        lambda: nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2)),
    ),
    "one inside another, one sample": (
        "nn.Sequential(nn.Linear(3,5), nn.Sequential(nn.ELU(0.5), nn.Linear(5,4)), nn.LeakyReLU(0.3))",
        "randn(3)",
        lambda: nn.Sequential(
            nn.Linear(3, 5), nn.Sequential(nn.ELU(0.5), nn.Linear(5, 4)), nn.LeakyReLU(0.3)
        ),
    ),
    "convolutions": (
        "nn.Sequential(nn.Conv2d(1,4,3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), "
        "nn.Dropout(0.5), nn.Linear(36,10), nn.LogSoftmax(1))",
        "randn(6,1,8,8)",
        lambda: nn.Sequential(
            nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
            nn.Dropout(0.5), nn.Linear(36, 10), nn.LogSoftmax(1),
        ),
    ),
    "an embedding, and a network that gives two results": (
        "nn.Sequential(nn.Embedding(9,4), nn.LayerNorm(4), nn.PReLU(), nn.GRU(4,3))",
        "tensor([[1,2,8],[0,5,5]])",
        lambda: nn.Sequential(nn.Embedding(9, 4), nn.LayerNorm(4), nn.PReLU(), nn.GRU(4, 3)),
    ),
    "a layer of an encoder": (
        "nn.Sequential(nn.Linear(5,8), nn.TransformerEncoderLayer(8,2,16,0.0), nn.Linear(8,1))",
        "randn(3,4,5)",
        lambda: nn.Sequential(
            nn.Linear(5, 8), nn.TransformerEncoderLayer(8, 2, 16, 0.0), nn.Linear(8, 1)
        ),
    ),
}  # fmt: skip


def leaves(module: nn.Module) -> list[nn.Module]:
    if isinstance(module, nn.Sequential):
        return [leaf for part in module for leaf in leaves(part)]
    return [module]


def size(tensor: Tensor) -> float:
    """The norm of its gradient in float64."""
    assert tensor.grad is not None
    return float(tensor.grad.double().norm())


def plain(
    make: Callable[[], nn.Module], x: Callable[[], Tensor], seed: int
) -> list[dict[str, Any]]:
    """The numbers of each layer by PyTorch alone: hooks keep the outputs and their gradients."""
    torch.manual_seed(seed)
    given = x()
    if given.is_floating_point():
        given.requires_grad_()
    net, outputs = make(), [given]

    def keep(module: nn.Module, inputs: Any, output: Any) -> None:
        output = output[0] if isinstance(output, tuple) else output
        output.retain_grad()
        outputs.append(output)

    for leaf in leaves(net):
        leaf.register_forward_hook(keep)
    net(given)
    (outputs[-1] * torch.randn(outputs[-1].shape)).mean().backward()  # type: ignore[no-untyped-call]
    rows = []
    for leaf, z, h in zip(leaves(net), outputs, outputs[1:], strict=False):
        norm = size(h)
        weights = [
            p for p in leaf.parameters() if p.dim() > 1 and not isinstance(leaf, nn.LayerNorm)
        ]
        rows.append({
            "module": type(leaf).__name__,
            "shape": list(h.shape),
            "gradient_norm": norm,
            "factor": size(z) / norm if z.is_floating_point() else None,
            "weight_gradient_norm": math.hypot(*map(size, weights)) if weights else None,
            "mean": h.double().mean().item(),
            "std": h.double().std().item(),
        })  # fmt: skip
    return rows


@pytest.mark.smoke
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_numbers_are_those_of_plain_pytorch_with_hooks(dtype: str) -> None:
    jobs = [
        {"command": "flow", "net": net, "x": x, "seed": 3, "dtype": dtype}
        for net, x, _ in NETS.values()
    ]
    lines = run("batch", stdin="\n".join(map(json.dumps, jobs))).stdout.splitlines()
    for line, (_, x, make) in zip(lines, NETS.values(), strict=True):
        found = json.loads(line)["layers"]
        with default_dtype(getattr(torch, dtype)):
            expected = plain(make, lambda x=x: eval(f"torch.{x}"), 3)  # type: ignore[misc]
        assert [row["layer"] for row in found] == [*range(1, len(expected) + 1)]
        for row, want in zip(found, expected, strict=True):
            assert (row["module"], row["shape"]) == (want.pop("module"), want.pop("shape"))
            assert {name for name in want if row[name] is None} == {
                name for name, number in want.items() if number is None
            }
            for name, number in want.items():
                assert number is None or row[name] == pytest.approx(number, rel=1e-5, abs=1e-7)


def test_saturated_off_and_dead_are_shares_of_the_slopes() -> None:
    bias = "net.0.bias=-9,9,0,0"
    words = ["--seed", "1", "--dtype", "float64", bias]
    rows = flow(
        "nn.Sequential(nn.Linear(2,4), nn.ReLU(), nn.Linear(4,4), nn.Sigmoid())",
        "rand(9,2)",
        *words,
    )["layers"]
    with default_dtype(torch.float64):
        torch.manual_seed(1)
        x = torch.rand(9, 2)
        first, second = nn.Linear(2, 4), nn.Linear(4, 4)
        first.bias.data = torch.tensor([-9.0, 9.0, 0.0, 0.0])
        z = first(x)
        off = z <= 0
        y = torch.sigmoid(second(z.relu()))
    assert rows[1]["activation"] == "relu"
    assert rows[1]["dead"] == off.all(0).double().mean().item() >= 0.25
    assert rows[1]["saturated"] is None
    assert rows[1]["off"] == pytest.approx(off.double().mean().item())
    assert rows[3]["saturated"] == pytest.approx((y * (1 - y) <= 0.025).double().mean().item())
    assert [row["activation"] for row in rows] == [None, "relu", None, "sigmoid"]
    assert {rows[0]["dead"], rows[0]["saturated"], rows[0]["off"], rows[3]["off"]} == {None}


def test_one_sample_cannot_show_that_a_unit_is_dead() -> None:
    rows = flow("nn.Sequential(nn.Linear(2,3), nn.ReLU())", "1,2")["layers"]
    assert rows[1]["dead"] is None
    assert (
        flow("nn.Sequential(nn.Linear(2,3), nn.ReLU())", "1,2;3,4")["layers"][1]["dead"] is not None
    )


# --- verdicts ------------------------------------------------------------------------------------

WORDS: list[tuple[str, str, list[str], str]] = [
    (SIGMOIDS, X16, [], r"net: vanishing, .* from the slopes \(at most 0\.25\)"),
    (SIGMOIDS, X16, ["--init", "kaiming"], "net: vanishing"),
    (RELUS, X64, [], r"net: vanishing, .* root mean square is 0\.57\d/sqrt\(inputs\)"),
    (RELUS, X64, ["--init", "kaiming"], "net: steady, a factor of (0.9|1.0)"),
    (RELUS, X64, ["--init", "normal"], r"net: exploding, a factor of 5.* mean square is 7.9[\d.]*/sqrt\(inputs\)"),
    (stack("nn.Linear(64,64)", "nn.Identity()", 6), X64, ["--init", "xavier"], "net: steady"),
    (stack("nn.Linear(8,8)", "nn.Tanh()", 3), "randn(9,8)", ["net.0.bias=99,99,99,99,99,99,99,99"],
     r"net: vanishing, no gradient passes net\[1\] \(Tanh\): its slope is 0 at every output"),
    (stack("nn.Linear(2,2)", "nn.ReLU()", 3), "rand(9,2)", ["net.2.bias=-9,-9"],
     r"net: vanishing, no gradient passes net\[3\] \(ReLU\): its slope is 0 at every output"),
    (stack("nn.Linear(2,2)", "nn.Tanh()", 3), "rand(9,2)", ["net.4.weight=zeros(2,2)"],
     r"net: vanishing, no gradient passes net\[4\] \(Linear\): all its weights are 0"),
    (stack("nn.Linear(16,16)", "nn.Sigmoid()", 40), X16, ["--init", "xavier"],
     r"net: vanishing, (a factor of 0\.2|the gradient that net\[\d+\] \(\w+\) passes on is 0 in float32)"),
    (stack("nn.Linear(16,16)", "nn.ReLU()", 120), X16, ["--init", "normal"],
     r"net: exploding, the gradient for net\[\d+\] is not finite in float32"),
    (stack("nn.Linear(8,8)", "nn.Tanh()", 5), "randn(9,8)", ["net.4.bias=8,8,8,8,8,8,8,8"],
     r"most of it in net\[5\] \(Tanh\)"),
    ("nn.Sequential(nn.Linear(8,8), nn.Tanh(), nn.Linear(8,8))", "randn(64,8)", ["--init", "kaiming"],
     r"net: steady, a factor of (0\.[78]\d*|1\.[234]\d*) from net\[2\] to net\[0\]: "),
    ("nn.Linear(2,3)", "1,2", [], "net: one layer alone, so there is no factor per layer"),
    (stack("nn.Linear(8,8)", "nn.Softmax(1)", 4), "randn(9,8)", [], "from nn.Softmax"),
]  # fmt: skip


@pytest.mark.parametrize(("net", "x", "words", "says"), WORDS, ids=[each[3] for each in WORDS])
def test_what_becomes_of_the_gradient_and_why(
    net: str, x: str, words: list[str], says: str
) -> None:
    assert re.search(says, flow(net, x, *words)["verdict"])


def test_the_parts_of_the_factor_multiply_to_it_and_it_is_that_of_the_norms() -> None:
    found = flow("nn.Sequential(nn.Linear(8,32), nn.LayerNorm(32), nn.ReLU(), nn.Dropout(0.3), nn.Linear(32,16), "
                 "nn.Sigmoid(), nn.Linear(16,4), nn.Tanh())", "randn(50,8)")  # fmt: skip
    parts = re.findall(r"([\d.e-]+) from (?:the weights|the slopes|nn\.\w+)", found["verdict"])
    assert len(parts) == 4
    assert math.prod(map(float, parts)) == pytest.approx(found["factors"]["net"], rel=0.01)
    norms = [row["gradient_norm"] for row in found["layers"] if row["module"] == "Linear"]
    assert found["factors"]["net"] == pytest.approx((norms[0] / norms[-1]) ** 0.5)
    assert f"({norms[0] / norms[-1]:.3g} from net[6] to net[0])" in found["verdict"]


def test_the_verdict_of_a_stack_is_that_of_the_same_network() -> None:
    """20 layers with their activations have the same weights, input and factor either way."""
    of_stack = run("flow", "tanh", "--layers", "5", "--width", "8", "--json").json
    torch.manual_seed(0)
    layers = [nn.Linear(8, 8) for _ in range(5)]
    x = torch.randn(64, 8)
    given = {
        f"net.{2 * i}.{n}": p.tolist()
        for i, layer in enumerate(layers)
        for n, p in layer.named_parameters()
    }
    net = f"nn.Sequential({', '.join(['nn.Linear(8,8), nn.Tanh()'] * 5)})"
    job = {"command": "flow", "net": net, "inputs": {"x": x.tolist(), **given}}
    of_net = json.loads(run("batch", stdin=json.dumps(job)).stdout)
    assert [row["std"] for row in of_net["layers"][1::2]] == pytest.approx(
        [row["std"] for row in of_stack["layers"]]
    )
    assert [row["saturated"] for row in of_net["layers"][1::2]] == [
        row["saturated"] for row in of_stack["layers"]
    ]


CURED = [
    (RELUS, X64, "default"), (RELUS, X64, "normal"), (RELUS, X64, "xavier"),
    (SIGMOIDS, X16, "default"), (SIGMOIDS, X16, "normal"),
    (stack("nn.Linear(32,32)", "nn.Tanh()", 5), "randn(64,32)", "default"),
    (stack("nn.Linear(32,32)", "nn.Dropout(0.9)", 4), "randn(64,32)", "default"),
    (stack("nn.Conv2d(4,4,3,padding=1)", "nn.ReLU()", 4), "randn(8,4,6,6)", "default"),
    (stack("nn.Linear(8,8)", "nn.Sigmoid(), nn.Tanh()", 4), "randn(64,8)", "xavier"),
]  # fmt: skip
CURE = re.compile(
    r"(?:, but (?P<holds>.*) keeps it steady|the nearest is (?P<nearest>.*)) \((?P<factor>[^()]*)\)$"
)


def test_a_cure_does_what_the_verdict_says_of_it() -> None:
    """What a verdict says of another call is what that call says of itself."""
    jobs = [{"command": "flow", "net": net, "x": x, "init": init} for net, x, init in CURED]
    results = answers(jobs)
    cured, claims = [], []
    for job, result in zip(jobs, results, strict=True):
        claim = CURE.search(result["verdict"])
        assert claim, result["verdict"]
        claims.append(claim)
        cured.append(treated(job, claim["holds"] or claim["nearest"]))
    kinds = set()
    for result, better, claim in zip(results, answers(cured), claims, strict=True):
        factor = better["factors"]["net"]
        assert f"{factor:.3g}" == claim["factor"]
        assert (": steady, " in better["verdict"]) == bool(claim["holds"])
        assert abs(math.log(factor)) < abs(math.log(result["factors"]["net"]))
        kinds.add(re.sub(r"\W.*", "", (claim["holds"] or claim["nearest"]).lstrip("-")))
    assert len(kinds) > 1


def answers(jobs: Sequence[dict[str, Any]]) -> list[Any]:
    return [
        json.loads(line)
        for line in run("batch", stdin="\n".join(map(json.dumps, jobs))).stdout.splitlines()
    ]


def treated(job: dict[str, Any], cure: str) -> dict[str, Any]:
    """The job with a cure applied to it, as its user would."""
    net, init = job["net"], re.search(r"--init (\w+)", cure)
    if swap := re.match(r"nn\.(\w+) in place of (.*?) with", cure):
        for old in swap[2].split(" and "):
            net = re.sub(rf"{re.escape(old)}\(\)", f"nn.{swap[1]}()", net)
    if norm := re.match(r"(nn\.\w+(?:\(.*?\))?) after each (nn\.\w+) but the last", cure):
        width = re.search(r"\d+", net)
        assert width
        count = net.count(norm[2]) - 1
        net = re.sub(
            rf"({re.escape(norm[2])}\(.*?\))", rf"\1, {norm[1]}({width[0]})", net, count=count
        )
    return {**job, "net": net, **({"init": init[1]} if init else {})}


def test_a_network_that_holds_needs_no_cure() -> None:
    assert CURE.search(flow(RELUS, X64, "--init", "kaiming")["verdict"]) is None


def test_a_gradient_of_zero_is_noted() -> None:
    found = flow(stack("nn.Linear(2,2)", "nn.ReLU()", 3), "rand(9,2)", "net.2.bias=-9,-9")
    assert found["notes"] == [
        {"code": "vanishing", "text": "net: the gradient of 3 of 5 layers is exactly 0 in float32"}
    ]
    assert found["factors"] == {"net": None}


# --- what a network is, and what it is given -----------------------------------------------------


def test_init_draws_as_nn_init_does_and_in_the_order_of_the_layers() -> None:
    found = flow(
        "nn.Sequential(nn.Conv1d(1,2,3), nn.ReLU(), nn.Flatten(), nn.Linear(8,3,bias=False))",
        "randn(4,1,6)",
        "--init",
        "kaiming",
        "--seed",
        "5",
    )
    torch.manual_seed(5)
    torch.randn(4, 1, 6)
    weights = {
        "net.0.weight": nn.Conv1d(1, 2, 3).weight,
        "net.3.weight": nn.Linear(8, 3, bias=False).weight,
    }
    for name, weight in weights.items():
        nn.init.kaiming_normal_(weight, nonlinearity="relu")
        assert np.allclose(found["inputs"][name], weight.tolist())
    assert found["inputs"]["net.0.bias"] == [0, 0]


def test_parameters_are_given_loaded_and_named_after_the_network(tmp_path: Path) -> None:
    first, last = nn.Linear(2, 3), nn.Linear(3, 1)
    net = nn.Sequential(first, nn.Tanh(), last)
    torch.save(net.state_dict(), tmp_path / "weights.pt")
    text = "nn.Sequential(nn.Linear(2,3), nn.Tanh(), nn.Linear(3,1))"
    (tmp_path / "net.py").write_text(f"# mine\nmodel = {text}\n")
    words = ["flow", "--net", "@net.py", "x=1,2", "model=@weights.pt", "model.2.bias=7", "--json"]
    found = run(*words, cwd=str(tmp_path)).json
    assert found["inputs"]["model.0.weight"] == pytest.approx(np.array(first.weight.tolist()))
    assert found["inputs"]["model.2.bias"] == [7]
    assert found["inputs"]["x"] == [1, 2]
    assert [row["name"] for row in found["layers"]] == ["model[0]", "model[1]", "model[2]"]
    assert list(found["factors"]) == ["model"]
    assert found["layers"][2]["mean"] == pytest.approx(
        net(torch.tensor([1.0, 2.0])).item() - last.bias.item() + 7
    )


@pytest.mark.parametrize(
    ("net", "names"),
    [
        ("a = nn.Linear(2,2); nn.Sequential(a, nn.Tanh(), a)", ["a", "net[1]", "a"]),
        ("nn.Sequential(nn.Linear(x.shape[1],2), nn.Sequential(nn.ReLU()))", ["net[0]", "net[1][0]"]),
        ("nn.Sequential(nn.Linear(2,2), nn.Identity(), nn.Dropout()).eval()", ["net[0]"]),
        ("nn.Linear(2,2)", ["net"]),
        ("big = nn.Sequential(nn.Linear(2,2), nn.Tanh(), nn.Linear(2,2)); big[1:]", ["big[1]", "big[2]"]),
    ],
)  # fmt: skip
def test_layers_are_named_by_their_place(net: str, names: list[str]) -> None:
    assert [row["name"] for row in flow(net, "randn(3,2)")["layers"]] == names


# --- forms ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        rare([NETS["a perceptron of two layers"][0], "randn(7,3)", "--init", "kaiming"]),
        [NETS["one inside another, one sample"][0], "1,2,3", "net.0.bias=1,2,3,4,5"],
        [NETS["convolutions"][0], "randn(6,1,8,8)", "--dtype", "float64", "--init", "xavier"],
        [NETS["an embedding, and a network that gives two results"][0], "tensor([[1,2],[3,4]])"],
        ["a = nn.Linear(2,2); nn.Sequential(a, nn.RReLU(), a, nn.Dropout()).eval()", "randn(3,2)", "--seed", "4"],
        rare(["big = nn.Sequential(nn.Linear(2,2), nn.Tanh(), nn.Linear(2,2)); big[1:]", "randn(3,2)"]),
        ["nn.Sequential(nn.Flatten(0), nn.Embedding(9,4), nn.Linear(4,1))", "tensor([[1,2],[3,4]])"],
    ],
    ids=lambda words: words[0][:40],
)  # fmt: skip
def test_the_program_prints_the_same_numbers(words: list[str]) -> None:
    net, x, *more = words
    program = run("flow", "--net", net, "--x", x, *more, "--code").stdout
    rows = [row for row in flow(net, x, *more)["layers"] if row["gradient_norm"] is not None]
    keys = (
        "gradient_norm",
        "factor",
        "weight_gradient_norm",
        "mean",
        "std",
        "saturated",
        "off",
        "dead",
    )
    for line, row in zip(printed(program).splitlines(), rows, strict=True):
        name, shape, numbers = re.fullmatch(r"(\S+) (\[.*?\]) (.*)", line).groups()  # type: ignore[union-attr]
        assert (name, json.loads(shape)) == (row["name"], row["shape"])
        expected = [row[key] for key in keys if row[key] is not None]
        assert [float(number) for number in numbers.split()] == pytest.approx(expected, rel=1e-6)


def test_the_table_fits_80_columns_and_says_all_that_there_is() -> None:
    shown = run(
        "flow", "--net", NETS["convolutions"][0], "--x", "randn(6,1,8,8)", env={"COLUMNS": "80"}
    )
    text = shown.stdout
    assert shown.stderr == ""
    assert max(map(len, text.splitlines())) <= 80
    for heading in ("gradient", "factor", "by weights", "shape", "off", "dead", "net[7]"):
        assert heading in text
    result = flow(NETS["convolutions"][0], "randn(6,1,8,8)")
    assert re.sub(r"\s+", " ", result["verdict"]) in re.sub(r"\s+", " ", text)
    ascii_only = run("flow", "--net", "nn.Linear(2,1)", "x=1,2", env={"PYTHONIOENCODING": "ascii"})
    assert ascii_only.stdout.isascii()


def test_csv_files_single_values_and_expectations(tmp_path: Path) -> None:
    words = ["flow", "--net", SIGMOIDS, "--x", X16]
    lines = run(*words, "--csv").stdout.splitlines()
    assert lines[0] == (
        "layer,name,module,activation,shape,gradient_norm,factor,weight_gradient_norm,mean,std,saturated,off,dead"
    )
    assert lines[2].startswith('2,net[1],Sigmoid,sigmoid,"[64, 16]",')
    result = run(*words, "--json").json
    norms = [row["gradient_norm"] for row in result["layers"]]
    for name in ("norms.npy", "all.npz"):
        run(*words, "--out", name, cwd=str(tmp_path))
    assert np.load(tmp_path / "norms.npy").tolist() == norms
    held = np.load(tmp_path / "all.npz")
    assert held["layers.gradient_norm"].tolist() == norms
    assert held["layers.name"].tolist() == [row["name"] for row in result["layers"]]
    assert run(*words, "--get", "verdict").stdout == result["verdict"] + "\n"
    assert json.loads(run(*words, "--get", "layers.gradient_norm").stdout) == norms
    assert run(*words, "--expect", "factors.net=1").status == 1
    assert (
        run(
            "flow",
            "--net",
            RELUS,
            "--x",
            X64,
            "--init",
            "kaiming",
            "--expect",
            "factors.net=1",
            "--tol",
            "0.1",
        ).status
        == 0
    )


def test_the_norm_in_each_layer_is_checked_against_closed_form_and_difference() -> None:
    deep = stack("nn.Linear(8,8)", "nn.Sigmoid()", 25)
    found = flow(deep, "randn(9,8)", "--check")
    assert (set(found["check"]), found["ok"]) == ({"net"}, True)
    assert found["check"]["net"]["max_rel_error"] < 1e-5
    table = run(
        "flow", "--net", NETS["convolutions"][0] + ".eval()", "--x", "randn(6,1,8,8)", "--check"
    )
    assert "Check: passes" in table.stdout
    assert "closed form" not in table.stdout  # a convolution has none here
    both = run(
        "flow",
        "--net",
        "nn.Sequential(nn.Linear(2,3), nn.Tanh(), nn.Linear(3,1))",
        "x=1,2",
        "--check",
    )
    assert "closed form" in both.stdout


def test_a_wrong_gradient_in_one_layer_ends_with_1(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = core.gradients

    def wrong(value: Tensor, inputs: Any, **more: Any) -> Any:
        found = honest(value, inputs, **more)
        return {n: 1.01 * g if n == "t" and g is not None else g for n, g in found.items()}

    monkeypatch.setattr(core, "gradients", wrong)
    words = ("--net", "nn.Sequential(nn.Linear(2,3), nn.Tanh())", "x=1,2", "--check", "--json")
    shown = run("flow", *words, here=True)
    assert (shown.status, shown.json["check"]["net"]["ok"]) == (1, False)


# --- errors --------------------------------------------------------------------------------------

NET = ["--net", "nn.Sequential(nn.Linear(2,3), nn.Tanh(), nn.Linear(3,1))"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (NET, ["--x is missing", "randn(64,2)"]),
        (["--x", "1,2"], ["requires --net", "gradcli flow --net"]),
        (["relu", "x=1,2"], ["requires --net"]),
        ([*NET, "x=1,2", "relu"], ["the activation relu cannot be used with --net"]),
        ([*NET, "x=1,2", "--layers", "3"], ["--layers cannot be used with --net"]),
        ([*NET, "x=1,2", "--width", "3"], ["--width cannot be used with --net"]),
        ([*NET, "x=1,2", "--activation", "relu"], ["--activation cannot be used with --net"]),
        ([*NET, "x=1,2", "--explain"], ["gradcli grad 'net = nn.Sequential"]),
        ([*NET, "x=1,2", "y=1"], ["the network has no input 'y'"]),
        ([*NET, "x=1,2", "net.0.wight=1"], ["did you mean net.0.weight"]),
        ([*NET, "x=1,2", "net.0.bias=1,2"], ["net.0.bias has shape [3]"]),
        ([*NET, "x=1,2", "net.2.bias=1", "--init", "xavier"], ["--init xavier draws the weights"]),
        ([*NET, "x=zeros(0,2)"], ["--x is empty"]),
        ([*NET, "x=1,2,3"], ["net[0]: Linear: ", "^^^^^^", "[3]", "gradcli why"]),
        (["--net", "nn.Sequential(nn.Linear(2,3), nn.Softmax(4))", "x=1,2;3,4"], ["net[1]: Softmax: "]),
        (["--net", "nn.Sequential(nn.LSTM(2,3), nn.Linear(3,1))", "x=1,2;3,4"], ["net[0] (LSTM) gives several results"]),
        (["--net", "nn.Sequential(nn.Embedding(2,3))", "x=1,0"], ["net[0]: Embedding: ", "tensor([0, 1])"]),
        (["--net", "nn.Sequential(nn.Tanh())", "x=1", "--init", "normal"], ["no nn.Linear and no convolution"]),
        (["--net", "nn.Linear(2,3)(x)", "x=1,2"], ["this makes a tensor, not a module"]),
        (["--net", "nn.Sequential()", "x=1"], ["net has no layers"]),
        (["--net", "nn.Sequential(nn.Linar(2,3))", "x=1"], ["nn.Linear", "^^^^^"]),
        (["--net", "__import__('os')", "x=1"], ["__import__"]),
        (["--net", "nn.Linear(10**6, 10**6)", "x=1"], ["Linear would make"]),
        (["--net", "nn.Sequential(nn.Linear(1,10**6), nn.Linear(10**6,1))", "x=zeros(1000,1)"], ["at most 268,435,456"]),
        (["--net", "nn.Sequential(nn.Linear(2,3), nn.Dropout())", "x=1,2", "--check"], ["net[1] (Dropout) draws", ".eval()"]),
        (["--net", "@missing.py", "x=1"], ["missing.py"]),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_cure(words: list[str], says: list[str]) -> None:
    shown = run("flow", *words)
    assert (shown.status, shown.stdout) == (2, ""), shown.stderr
    assert shown.stderr.startswith("error: ")
    for text in says:
        assert text in shown.stderr


def test_a_job_of_a_batch_is_the_call(tmp_path: Path) -> None:
    job = {
        "command": "flow",
        "net": NET[1],
        "inputs": {"x": [1, 2], "net.2.bias": [3]},
        "init": "default",
    }
    (found,) = answers([job])
    assert found == {**run("flow", *NET, "x=1,2", "net.2.bias=3", "--json").json, "id": None}


def test_a_result_without_elements_has_no_gradient_to_begin_with() -> None:
    ran = run(
        "flow", "--net", "nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 0))", "x=ones(3,3)", "--json"
    )
    assert ran.json["verdict"] == "net: vanishing, the gradient of the result is 0 already"
