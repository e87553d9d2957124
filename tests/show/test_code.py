"""`--code`: the program runs as it stands and prints the numbers that `--json` holds."""

import math
import os
import re
import shlex
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.choice import rare
from tests.program import printed as output
from tests.program import run

ROOT = Path(__file__).parents[2]
FORMS = (
    "--explain",
    "--check",
    "--expect",
    "--graph",
    "--json",
    "--csv",
    "--get",
    "--out",
    "--code",
    "--help",
    "-h",
    "--precision",
    "--full",
    "--quiet",
)

NET = "net = nn.Sequential(nn.Linear(2,3), nn.Tanh(), nn.Linear(3,1))"
MODULES = [
    f"grad '{NET}; mse(net(x), y)' x=1,2 y=1,",
    f"grad '{NET}; mse(net(x), y)' x=1,2 y=1, --wrt net,x --via backward --dtype float64 --seed 5",
    "grad 'mse(nn.Linear(2,1)(x), y)' x=1,2 y=1, --dtype float64",
    "grad 'nn.Linear(3,1)(dropout(nn.Linear(2,3)(x), 0.5)).sum()' 'x=randn(4,2)' --seed 3",
    f"grad '{NET}; (net(x)**2).mean() + 0.1*net[0].weight.norm()' 'x=rand(3,2)' 'net.0.weight=randn(3,2)' net.2.bias=3,",
    "grad 'net = nn.Linear(2,3); h = net(x); net = nn.Linear(3,1); net(h)' x=1,2",
    "grad 'x = nn.Linear(2,3)(x); x' x=1,2 --vjp 'randn(3)'",
    "grad 'net = nn.Sequential(nn.Linear(2,3), nn.Dropout(0.5)); net(x)' x=1,2 --row 1",
    "grad 'n = 3; net = nn.Sequential(nn.Linear(1,n), nn.Dropout(0.5), nn.Linear(n,1)); net(x.reshape(1))' x=1,2 --each x",
    "grad 'nn.LSTM(2,2)(x)[0].sum() + nn.LayerNorm(2)(x).norm()' 'x=randn(3,2)'",
    "grad 'ce(nn.Embedding(5,3)(i), t)' 'i=tensor([1,4])' t=0,2",
    "grad 'net = nn.Sequential(nn.Conv1d(1,2,3), nn.BatchNorm1d(2), nn.ReLU()); net(x).square().sum()' 'x=randn(2,1,5)'",
    "grad 'nn.Linear(2,2)(dropout(x, 0.5)).sum() + nn.Linear(2,2)(x).sum()' x=1,2",
    "grad 'o, w = nn.MultiheadAttention(4, 2, batch_first=True)(x, x, x); o.sum() + w.norm()' 'x=randn(2,3,4)'",
    "grad 'net = nn.Linear(2,2); mse(net(x), y) + 0.1*net.weight.norm()' x=1,2 y=0,1 'net.weight=2,1;0,3' --wrt net.bias",
    "grad 'np.var(nn.Linear(2,3)(x), ddof=1) + half_sse(nn.Linear(2,1)(x), x[0])' x=1,2",
    "jacobian 'net = nn.Linear(2,2); x = net(x); y = net(x); stack([y[0], x[1]])' x=1,2",
    "plot 'x = x*y; nn.Linear(1,1)(x[None])*y' x=0,1,2 y=1,2",
    "grad 'net = nn.Sequential(nn.Linear(2,3), nn.Softmax(0), nn.LogSoftmax(1)); net(x)[0,0]' 'x=1,2;3,4'",
    f"jacobian '{NET}; net(x)' 'x=1,2;3,4'",
    "jacobian 'y = nn.Dropout(0.5)(nn.Linear(2,3)(x)); y' x=1,2 --wrt x",
    f"hessian '{NET}; mse(net(x), y)' x=1,2 y=1, --dtype float64",
    f"hessian '{NET}; mse(net(x), y)' x=1,2 y=1, --hvp x=1,0 --hvp net.0.bias=1,2,3",
    f"grad '{NET}; mse(net(x), y)' x=1,2 y=1, --jvp x=1,0 --jvp net.0.bias=1,2,3",
    f"grad '{NET}; mse(net(x), y)' 'x=1,2;3,4' 'y=1;2' --each x,y --wrt net",
    f"value '{NET}; h = net(x); h.square()' x=1,2 --shapes",
    "hessian 'nn.Linear(2,1)(x)' x=1,2 --wrt linear.bias",
    f"descend '{NET}; mse(net(x), y)' 'x=1,2;3,4' y='1;2' --steps 3",
    f"descend '{NET}; mse(net(x), y)' 'x=1,2;3,4' y='1;2' --steps 3 --wrt net --optimizer adam",
    "descend 'mse(dropout(nn.Linear(2,1)(x), 0.3), x)' x=1,2 --steps 3 --wrt linear.bias,x --optimizer lbfgs",
    "plot 'net = nn.Sequential(nn.Linear(1,3), nn.Dropout(0.5), nn.Linear(3,1)); net(x.reshape(1))' x=-2,0,3",
    "plot 'nn.Linear(2,1)(stack([x, y]))' x=-2,2,1 y=0,1 linear.bias=3,",
    "plot 'nn.Linear(1,1)(x.reshape(1))' sigmoid 'nn.Linear(1,1)(x.reshape(1))'",
]
COMMANDS = [
    "grad --fn mse --x 1 --w 2",
    "grad --fn mse --x 1 --w 2 --via backward",
    "grad --fn 'leaky_relu(0.2)' --x -3",
    "grad --fn 'threshold(value=-1)' --x -3",
    "grad --fn 'cross_entropy(weight=[1,2,3], label_smoothing=0.1)' --x 1,2,3 --y 1",
    "grad --fn half_sse --x 1,2 --w 3 --b 1",
    "grad 'half_sse(target=y, pred=x) + sse(*[y, x]) + l2_norm(x - 1, 2)' x=1,2 y=3,5",
    "grad 'prelu(x) + threshold(x, 1., 2.) + prelu(x, tensor(0.1))' x=-3",
    "grad --fn tanh --x 1,2,3 --row -1",
    "grad 'sin(x)*y' x=1,2 y=3 --jvp x=1,0.5",
    "grad 'h = w*x; x = dropout(h); x.sum()' 'x=randn(3)' w=3 --jvp w=1 --jvp 'x=randn(3)'",
    "grad 'h = w*x; x = h + 1; x' x=1,2 w=3 --jvp w=1",
    "grad 'h = w*x; h' x=1,2 w=3 --jvp w=1 --row 1 --via backward",
    "grad --fn mse --x 1 --w 2 --jvp w=1",
    "grad 'net = nn.Sequential(nn.Linear(2, 2), nn.Tanh()); net(x)' x=1,2 --jvp x=1,0 --jvp 'net.0.weight=randn(2,2)'",
    "grad 'net = nn.Linear(2, 1); h = net(x); mse(h, y)' x=1,2 y=1, --jvp x=1,0 --jvp net.bias=2,",
    "hessian 'net = nn.Linear(2, 1); mse(tanh(net(x)), y)' x=1,2 y=1, --hvp 'net.weight=randn(1,2)'",
    "hessian '(x*w**3).sum()' x=1,2 w=3 --hvp w=1",
    "hessian 'x = x*2; (x*w**3).sum()' x=1,2 w=3 --wrt w --hvp w=2",
    "hessian 'dropout(x*w**3).sum()' x=1,2 w=3 --hvp w=1 --hvp 'x=randn(2)'",
    "hessian 'dropout(x*w**3).sum()' x=1,2 w=3",
    "grad 'mse(w*x + b, y)' x=1,2 w=3 b=0 y=1,1",
    "grad 'd = w*x - y; d += 1; (d**2).sum()' x=1,2 w=3 y=1,1",
    "grad 'd = w*x - y; d += 1; (d**2).sum()' x=1,2 w=3 y=1,1 --via backward",
    "grad 'h = x*3; h += 1; x = h**2; x*2' x=2",
    "grad 'W @ x' 'W=1,2;3,4' x=1,2 --vjp 1,-1",
    "grad 'clip(x, min=0, max=a) + x.maximum(0)*x.clamp(a, 4)' x=5,-1 a=2 --row 0 --jvp a=1",
    "grad 'x**2' 'x=linspace(-1,1,5)' --each x",
    "grad 'mse(w*x, y)' x=1,2 w=3 y=1 --each x --via backward",
    "grad 'cross_entropy(W @ x, y)' 'W=1,2;3,4;5,6' 'x=1,-1;0,2' 'y=tensor([0,2])' --each x,y",
    "grad 'h = X @ w; mse(h, y)' 'X=randn(3,2)' w=1,2 'y=ones(3)' --each y,X --via backward",
    "grad --fn mse --x '1,2;3,4' --w 0.5 --each x",
    "value 'h = X @ w; softmax(h)' 'X=1,2;3,4' w=1,2",
    "value 'x > 0' x=-1,2",
    "value 'n = len(x); n * 3' x=1,2",
    "value x.shape 'x=1,2;3,4'",
    "value 'nn.Dropout(0.5)(x)' 'x=rand(4)' --seed 3",
    "grad 'maximum(x, 0) + sqrt(2)*pi' x=3",
    "grad 'cross_entropy(W @ x, t)' 'W=randn(3,2)' x=1,2 t=2 --dtype float64 --seed 7",
    "grad 'ce(a, t)' 'a=[[1,2,3]]' t=1",
    "grad 'a, b = x; a*b**2' x=3,4",
    "grad 'nn.MSELoss()(p, y)' p=1,2 y=0,0",
    "grad 'softmax(a)[1]' a=2,1,0.1",
    "grad 'np.exp(x) + math.pi*x.pow(2)' x=1",
    "grad 'torch.fft.fft(x).abs().sum()' x=1,2,3",
    "grad 'x if 2 > 1 else -x' x=1",
    "grad '(x + ones(1)).sum()' x=1,2 --dtype float64",
    "grad 'x.masked_fill(x < 0, float(\"-inf\")).exp().sum()' x=1,-2",
    "grad 'A[i]' A=1,2,3 'i=tensor(1)'",
    "grad 'F.cross_entropy(target=t, input=a)' a=1,2,3 t=1",
    "grad 'cross_entropy(a, 1 + 0)' a=1,2,3",
    "grad 'nn.CrossEntropyLoss(ignore_index=7)(a, target=t)' 'a=1,2;3,4' t=0,7",
    "grad 'loss = nn.NLLLoss(); loss(log_softmax(a, 1), t)' 'a=1,2;3,4' t=0,1",
    "hessian 'nn.MultiMarginLoss(p=2)(a, 1)' a=1,2,3",
    "jacobian 'dropout(x*y)*randn(3)' x=1,2,3 y=2",
    "grad 'len(x)*len*print*x.sum()' x=1,2 len=3 print=2",
    "grad 'x*y' x=inf y=2",
    "grad 'nn.Dropout(0.5)(x).sum()' x=1,2,3,4 --seed 3",
    "grad 'poisson_nll(x, y)' x=1,2 y=3,5",
    "activate sigmoid softmax step 'prelu(0.1)' --x -2,0,2",
    "activate log_softmax --x '1,2;3,4'",
    "activate gelu --x 'randn(3)' --seed 3 --dtype float64",
    """activate 'gelu("tanh")' --x 1""",
    "loss mse sse half_sse l2_norm --pred 1,2,3 --target 0,0,0",
    "loss mse huber --pred 1,2,3 --target 0,0,0 --reduction none",
    "loss ce nll --pred '2,1,0.1;1,2,3' --target 0,2",
    "loss 'kl(reduction=\"batchmean\")' 'bce_with_logits(pos_weight=tensor([2.,2.]))' --pred 0.5,0.25 --target 0.5,0.5",
    "softmax-jacobian 2,1,0.1",
    "softmax-jacobian 2,1,0.1 --row 1",
    "jacobian 'W @ x' 'W=1,2;3,4' x=1,1",
    "jacobian 'n = x.norm(); x/n' x=3,4",
    "hessian 'x**2 - y**2' x=0 y=0",
    "hessian '(1-x[0])**2 + 100*(x[1]-x[0]**2)**2' x=1,2 --dtype float64",
    "hessian 'q = A @ x; x @ q' 'A=2,1;1,3' x=1,2 --wrt x",
    "hessian 'x.sum()' 'x=zeros(0)'",
    "hessian 'x.sum() + (w*y**2).sum()' 'x=zeros(0,3)' y=1,2 w=3",
    "perceptron --x 1,0.5 --w 0.3,-0.2 --target 1",
    "perceptron --x '1,0.5;0,1' --w '0.3,-0.2;0.1,0.4' --b 0.1,0.2 --target '1,0;0,1'",
    "perceptron --x 1,2 --w 1,1 --target 1 --activation step",
    "perceptron --train and --activation step",
    "perceptron --train xor --epochs 5 --lr 0.5",
    "plot relu 'leaky_relu(0.2)' step",
    "plot mse half_sse 'huber(delta=2)' 'bce_with_logits(reduction=sum)' hinge_embedding kl l2_norm poisson_nll",
    "plot 'n = x**2; n + floor(x)' gelu 'sin(x)/x' --dtype float64",
    "plot 'sin(w*x)' 'x=linspace(-5,5,20)' w=2",
    "plot 'mse(w*x, y)' 'w=linspace(-1,3,5)' x=1,2 y=2,4 --wrt w",
    "plot 'x**2*b' x=-0.1,0.3 b='randn(1)' --wrt x",
    "plot 'x*y' 'x=rand(2)' y=1,2,3 --wrt x,y",
    "plot 'w*x**2*y' 'x=randn(3)' w=2 'y=rand(2)' --seed 3",
    "plot 'where(x > 0, 1.0, 0.0)' x=-1,0,1",
    "plot 5 x=0,1,2",
    "plot pi x=-1,0,1",
    "plot 'x.ndim + 1' x=0,1,2",
    "plot '2*3' x=0,1,2 y=1,2,3",
    *MODULES,
]


def documented() -> list[str]:
    """The computing commands of the README and the docs, without their form of output."""
    found: dict[str, None] = {}
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        for line in re.findall(
            r"^\$ gradcli (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE
        ):
            if any(mark in line for mark in ("|", ">", "<", "$", "@", "#")) or " - " in f"{line} ":
                continue
            words = shlex.split(line)
            if (
                words
                and words[0] in {command.split()[0] for command in COMMANDS}
                and not set(words) & set(FORMS)
            ):
                found[shlex.join(words)] = None
    return list(found)


def numbers(value: Any) -> Iterator[float]:
    """Every number in a tree of JSON, not-finite ones as floats."""
    if isinstance(value, dict):
        for item in value.values():
            yield from numbers(item)
    elif isinstance(value, list):
        for item in value:
            yield from numbers(item)
    elif isinstance(value, str):
        if value in ("NaN", "Infinity", "-Infinity"):
            yield float(value)
    elif value is not None and not isinstance(value, bool):
        yield float(value)


LEFT_OUT = {
    "shapes",  # the program prints those of the steps and layers: tests/commands/test_value.py
    "command",
    "dtype",
    "inputs",
    "defaults",
    "notes",
    "expression",
    "kind",
    "stationary",
    "epochs",
    "converged",
}
"""What a program has no need to print."""


def wanted(found: dict[str, Any], words: list[str]) -> list[float]:
    """The numbers of a result that the program must print."""
    left_out = LEFT_OUT | (
        {"jacobian"} if "row" in found and words[0] == "softmax-jacobian" else set()
    )
    if "history" in found:
        left_out |= {"w", "b"}
    return list(numbers({key: value for key, value in found.items() if key not in left_out}))


def printed(program: str) -> list[float]:
    """The numbers that a program prints."""
    text = re.sub(
        r"^(?!-?[\d\[]|-?inf|nan).*? (?=-?[\[\d]|-?inf|nan)",
        "",
        output(program),
        flags=re.MULTILINE,
    )
    return [float(token) for token in re.findall(r"-?(?:\d+\.?\d*(?:e[-+]?\d+)?|inf|nan)\b", text)]


def neighbours(number: float, ordered: list[float], tolerance: float) -> list[float]:
    """Those of the numbers in ascending order that may be the same as `number`."""
    margin = 2 * tolerance * abs(number) + 1e-6
    return ordered[bisect_left(ordered, number - margin) : bisect_right(ordered, number + margin)]


def same(number: float, other: float, tolerance: float) -> bool:
    return (math.isnan(number) and math.isnan(other)) or math.isclose(
        number, other, rel_tol=tolerance, abs_tol=1e-7
    )


@pytest.mark.parametrize(
    "command",
    [*COMMANDS[1::2], *map(rare, [*COMMANDS[::2], *documented()])],
)
def test_the_program_prints_the_numbers_of_the_json(command: str) -> None:
    words = shlex.split(command)
    shown = run(*words, "--json")
    if shown.status == 2:
        pytest.skip("an example of an error")
    program = run(*words, "--code")
    assert program.status == 0, program.stderr
    found = printed(program.stdout)
    ordered = sorted(number for number in found if not math.isnan(number))
    tolerance = 1e-9 if shown.json["dtype"] == "float64" else 1e-5
    for number in wanted(shown.json, words):
        near = found if not math.isfinite(number) else neighbours(number, ordered, tolerance)
        assert any(same(number, other, tolerance) for other in near), (number, program.stdout)


def test_nothing_but_the_program_is_printed() -> None:
    shown = run("activate", "step", "--x", "0", "--code")
    assert shown.stderr == ""
    assert shown.stdout.startswith("import torch\n")


@pytest.mark.exhaustive
def test_a_program_runs_in_a_fresh_python(tmp_path: Path) -> None:
    import subprocess
    import sys

    program = run("grad", "--fn", "mse", "--x", "1", "--w", "2", "--code").stdout
    done = subprocess.run(
        [sys.executable, "-"],
        input=program,
        capture_output=True,
        text=True,
        check=True,
        env=dict(os.environ),
    )
    assert [line.split()[-1] for line in done.stdout.splitlines()] == ["1.0", "4.0", "2.0"]


@pytest.mark.smoke
def test_via_chooses_the_words_of_the_program() -> None:
    assert "torch.autograd.grad(" in run("grad", "x**2", "x=3", "--code").stdout
    assert "value.backward()" in run("grad", "x**2", "x=1,", "--via", "backward", "--code").stdout


def test_an_array_from_a_file_is_loaded_by_the_program(tmp_path: Path) -> None:
    import numpy as np

    np.save(tmp_path / "x.npy", np.arange(3.0))
    program = run("grad", "(x**2).sum()", "x=@x.npy", "--code", cwd=str(tmp_path)).stdout
    assert "np.load('x.npy')" in program


def test_whatever_array_a_file_holds_is_loaded_without_a_warning(tmp_path: Path) -> None:
    import numpy as np
    import torch

    save_file = pytest.importorskip("safetensors.torch", reason="an extra").save_file
    array = np.arange(1.0, 4.0)
    np.save(tmp_path / "big.npy", array.astype(">f8"))
    np.save(tmp_path / "long.npy", array.astype(np.longdouble))
    np.savez(tmp_path / "n.npz", a=array.astype(">i2"))
    tensors = {"a": torch.tensor(array, requires_grad=True), "mask": torch.tensor([True, False])}
    torch.save(tensors, tmp_path / "t.pt")
    save_file(
        {name: tensor.detach() for name, tensor in tensors.items()}, tmp_path / "s.safetensors"
    )
    files = ("big.npy", "long.npy", "n.npz:a", "t.pt:a", "s.safetensors:a")
    inputs = [f"{name}=@{file}" for name, file in zip("abcde", files, strict=True)]
    expression = "(a*b*c*d*e).sum() + x.masked_fill(m[0], 0)"
    words = ["grad", expression, *inputs, "m=@t.pt:mask", "x=2"]
    program = run(*words, "--code", cwd=str(tmp_path)).stdout
    folder = f"import os, warnings\nos.chdir({str(tmp_path)!r})\nwarnings.simplefilter('error')\n"
    found = run(*words, "--json", cwd=str(tmp_path)).json
    slopes = [slope for slope in found["gradients"].values() if slope is not None]
    assert printed(folder + program) == [*numbers([found["value"], slopes])]


def test_code_is_a_form_of_its_own() -> None:
    for other in (["--json"], ["--csv"], ["--get", "value"], ["--out", "x.json"]):
        assert run("grad", "x**2", "x=3", "--code", *other).status == 2
