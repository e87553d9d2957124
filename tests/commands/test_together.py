"""What was built apart, together: networks with directions, samples, shapes, expectations, programs."""

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, hessian, jvp

from tests.program import printed, run

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script`")  # torch.func loads such

NET = "net = nn.Sequential(nn.Linear(2,3), nn.Tanh(), nn.Linear(3,1))"
LOSS = f"{NET}; mse(net(x), y)"
DATA = "x=1,2;3,4", "y=1;-1"
X, Y = torch.tensor([[1.0, 2], [3, 4]]), torch.tensor([[1.0], [-1]])


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))


def loss(parameters: dict[str, Tensor], x: Tensor = X, y: Tensor = Y) -> Tensor:
    return nn.functional.mse_loss(functional_call(MODEL, parameters, (x,)), y)


MODEL = network()
PARAMETERS = {name: tensor.detach() for name, tensor in MODEL.named_parameters()}


def close(found: Any, expected: Any) -> None:
    torch.testing.assert_close(torch.tensor(found), expected.detach(), rtol=1e-5, atol=1e-6)


def test_directions_in_parameters_add_up_with_those_in_inputs() -> None:
    words = (
        "--jvp",
        "net.0.weight=1,0;2,1;0,1",
        "--jvp",
        "net.2.weight=1,2,3",
        "--jvp",
        "x=ones(2,2)",
    )
    along = {
        "0.weight": torch.tensor([[1.0, 0], [2, 1], [0, 1]]),
        "2.weight": torch.tensor([[1.0, 2, 3]]),
    }
    primal = {name: PARAMETERS[name] for name in along}
    given = (primal, X), (along, torch.ones(2, 2))
    close(run("grad", LOSS, *DATA, *words, "--json").json["jvp"], jvp(loss, *given)[1])


def test_the_product_of_the_hessian_with_a_direction_in_a_parameter() -> None:
    found = run("hessian", LOSS, *DATA, "--hvp", "net.2.weight=1,2,3", "--json").json["hvp"]
    blocks = hessian(loss)(PARAMETERS)
    for name in PARAMETERS:
        product = blocks[name]["2.weight"].flatten(-2) @ torch.tensor([1.0, 2, 3])
        close(found[f"net.{name}"], product)


def test_gradients_of_each_sample_by_the_parameters() -> None:
    rows = run("grad", LOSS, *DATA, "--each", "x,y", "--wrt", "net", "--json").json["rows"]
    for i, row in enumerate(rows):
        for name, slope in grad(loss)(PARAMETERS, X[i], Y[i]).items():
            close(row["gradients"][f"net.{name}"], slope)


def test_a_random_direction_is_drawn_before_the_network() -> None:
    found = run("grad", f"{NET}; net(x).sum()", "x=randn(2)", "--jvp", "x=randn(2)", "--json").json
    torch.manual_seed(0)
    x, tangent = torch.randn(2), torch.randn(2)
    net = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))
    close(found["jvp"], jvp(lambda x: net(x).sum(), (x,), (tangent,))[1])


DROPS = (
    "net = nn.Sequential(nn.Linear(2,3), nn.Dropout(0.4), nn.Linear(3,1)); h = net(x); mse(h, y)"
)
NORMS = "net = nn.Sequential(nn.Linear(2,3), nn.BatchNorm1d(3), nn.Tanh()); (net(x)**2).mean()"
PROGRAMS = [
    f"grad '{LOSS}' x=1,2 y=1, --jvp net.2.weight=randn(3) --jvp x=randn(2)",
    f"grad '{NET}; net(x)' x=1,2 --jvp net.0.bias=1,0,0",
    f"grad '{DROPS}' x=1,2 y=1, --jvp net.0.bias=1,0,0 --jvp x=1,2",
    f"grad '{NORMS}' 'x=randn(4,2)' --jvp net.1.weight=1,2,3 --jvp 'x=randn(4,2)'",
    f"grad '{DROPS}' 'x=1,2;3,4' 'y=1;2' --each x,y --via backward",
    f"hessian '{DROPS}' x=1,2 y=1, --hvp net.2.bias=1, --hvp x=1,0",
    "hessian 'a = nn.Linear(2,1); a(x).pow(2).sum()' x=1,2 'a.weight=arange(2)' --wrt a.weight",
]


def numbers(value: Any) -> list[float]:
    if isinstance(value, list | dict):
        items = value.values() if isinstance(value, dict) else value
        return [number for item in items for number in numbers(item)]
    return [value] if isinstance(value, int | float) else []


@pytest.mark.parametrize("call", PROGRAMS)
def test_the_program_prints_the_numbers_of_the_json(call: str) -> None:
    words = [*shlex.split(call), "--dtype", "float64"]
    known = torch.tensor(numbers(run(*words, "--json").json), dtype=torch.float64)
    shown = printed(run(*words, "--code").stdout)
    text = shown.replace("[", " ").replace("]", " ").replace(",", " ")
    values = [
        float(word) for word in text.split() if word[-1].isdigit() and word[0] in "-.0123456789"
    ]
    assert len(values) > 3
    for value in values:
        assert bool(
            torch.isclose(
                known, torch.tensor(value, dtype=torch.float64), rtol=1e-9, atol=1e-12
            ).any()
        )


def test_shapes_are_those_after_every_layer() -> None:
    layers = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3))
    text = "net = nn.Sequential(nn.Conv2d(1,2,3), nn.ReLU(), nn.Flatten(), nn.Linear(8,3)); net(x).sum()"
    words = "value", text, "x=ones(5,1,4,4)", "--shapes"
    shapes, hidden = {}, torch.ones(5, 1, 4, 4)
    for number, layer in enumerate(layers):
        hidden = layer(hidden)
        shapes[f"net[{number}]"] = list(hidden.shape)
    found = run(*words, "--json").json["shapes"]
    rows = {row["expression"]: row["shape"] for row in found}
    assert rows == {**shapes, "net(x)": [5, 3], "net(x).sum()": []}
    assert "net[0] -> net[1] -> net[2] -> net[3]\n╰────╯ [5, 2, 2, 2]\n" in run(*words).stdout


BACKWARD = """dp = 2*(p - y)/len(y)
dW = dp.T @ x
dx = dp @ net.weight
"""


def test_formulas_and_backward_passes_read_the_parameters(tmp_path: Path) -> None:
    text = "net = nn.Linear(2,1); W = net.weight; p = net(x); mse(p, y)"
    formula = "net.weight = 2*(x @ net.weight.T + net.bias - y).T @ x/2"
    found = run("grad", text, *DATA, "--expect", formula, "--json").json["expect"]["net.weight"]
    assert (found["agreed"], found["ok"]) == (found["points"], True)
    (tmp_path / "back.py").write_text(BACKWARD)
    words = "grad", text, *DATA, "--expect", "@back.py", "--json"
    found = run(*words, cwd=str(tmp_path)).json
    assert [line["ok"] for line in found["expect"].values()] == [True] * 3


ERRORS: list[tuple[str, list[str]]] = [
    (f"hessian '{LOSS}' x=1,2 y=1, --hvp net=1", ["no input 'net'", "--hvp net.0.weight=T"]),
    (f"grad '{LOSS}' x=1,2 y=1, --jvp net.2.bais=1", ["no input 'net.2.bais'", "did you mean net.2.bias"]),
    (f"grad '{LOSS}' x=1,2 y=1, --jvp net.2.bias=1,2", ["has shape [2]", "^^^", "ones(1)"]),
    (f"grad '{LOSS}' x=1,2 y=1, --each net.2.bias", ["net.2.bias is a parameter"]),
    (f"grad '{LOSS}' x=1,2 y=1, --expect 'x = net[0].wieght[0]'", ["net.0.wieght", "^", "net.0.weight"]),
    (f"grad '{LOSS}' x=1,2 y=1, --expect 'x = net(x)'", ["as in h = net(x), and write h"]),
]  # fmt: skip


@pytest.mark.parametrize(("call", "said"), ERRORS)
def test_errors(call: str, said: list[str]) -> None:
    ran = run(*shlex.split(call))
    assert (ran.status, ran.stdout) == (2, "")
    assert ran.stderr.startswith("error: ")
    for text in said:
        assert text in ran.stderr


OPTIONS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "jvp": lambda job: {**job, "jvp": {"net.2.bias": [1]}},
    "hvp": lambda job: {**job, "command": "hessian", "hvp": {"net.2.bias": [1], "x": [[1, 0], [0, 1]]}},
    "rows": lambda job: {**job, "each": ["x", "y"]},
    "shapes": lambda job: {**job, "command": "value", "shapes": True},
}  # fmt: skip
WORDS = {
    "jvp": ["grad", "--jvp", "net.2.bias=1,"],
    "hvp": ["hessian", "--hvp", "net.2.bias=1,", "--hvp", "x=1,0;0,1"],
    "rows": ["grad", "--each", "x,y"],
    "shapes": ["value", "--shapes"],
}


def test_a_batch_gives_the_bytes_of_single_calls() -> None:
    job = {"command": "grad", "expression": LOSS, "inputs": {"x": X.tolist(), "y": Y.tolist()}}
    asked = "\n".join(json.dumps(change(job)) for change in OPTIONS.values())
    lines = run("batch", stdin=asked).stdout.splitlines()
    for (key, (command, *words)), line in zip(WORDS.items(), lines, strict=True):
        alone = run(command, LOSS, *DATA, *words, "--json").json
        assert {**json.loads(line), "id": 0} == {**alone, "id": 0}
        assert key in alone
