"""The Python functions give what the commands print, and leave the caller's process as it is."""

import random
import shlex
import subprocess
import sys
import threading
import warnings
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import gradcli
from gradcli import errors
from gradcli.api.python import FUNCTIONS, function
from gradcli.commands import COMMANDS
from gradcli.options.fields import FLAG, flag_name
from gradcli.options.shared import Request
from tests.choice import first_usual
from tests.program import ROOT, run

untyped: Any = gradcli
"""The functions, for calls that the type checker refuses too."""
FORMS = ("json", "csv", "get", "code", "graph", "out", "quiet", "timeout", "latex")


def call(words: list[str]) -> gradcli.Result:
    """What the words of a command line are as a call of a function."""
    name, *rest = words
    command = COMMANDS[name]
    flags = {flag_name(each): (each, option) for each, option in command.options.items()}
    bare: list[str] = []
    given: dict[str, Any] = {}
    while rest:
        word = rest.pop(0)
        flag, equals, value = word.partition("=")
        if flag in flags and flag.startswith("--"):
            field, option = flags[flag]
            if option.kind is FLAG:
                value = True  # type: ignore[assignment]
            elif not equals:
                value = rest.pop(0)
            if field in FORMS:
                continue
            given[field] = [*given.get(field, []), value] if option.repeatable else value
        elif equals and flag.isidentifier() and value[:1] != "=":
            given[flag] = value
        else:
            bare.append(word)
    return function(name.replace("-", "_"))(*bare, **given)


def examples() -> list[list[str]]:
    found = []
    for name, command in FUNCTIONS.items():
        if name == "check":  # its examples need files: the test below has one
            continue
        for line, _ in command.examples:
            words = shlex.split(line)
            if "|" not in words and "--run" not in words and "--timeout" not in words:
                found.append(words[1:])
    return found


def plain(words: list[str]) -> list[str]:
    """The words without the forms of output."""
    kept, rest = [], list(words)
    while rest:
        word = rest.pop(0)
        field = word.partition("=")[0].removeprefix("--").replace("-", "_")
        if word.startswith("--") and field in FORMS:
            if field in ("get", "out", "graph", "timeout") and "=" not in word:
                rest.pop(0)
            continue
        kept.append(word)
    return kept


MORE = [
    "grad --fn mse --x 1 --w 2 --explain --check --expect w=2",
    "grad 'net = nn.Sequential(nn.Linear(2,3), nn.Tanh(), nn.Linear(3,1)); mse(net(x), y)' x='randn(4,2)' y='randn(4,1)'",
    "grad 'w*rand(3)' w='randn(3)' --vjp 1,0,2 --seed 7",
    "grad 'sin(x)' x=1,2 --each x",
    "grad 'x*w' x=1 w=2 --jvp x=1 --dtype float64",
    "hessian 'x**2*y' x=1 y=2 --hvp x=1",
    "descend '(w-3)**2' w=0 --optimizer adam --set betas=0.9,0.99 --steps 5 --explain",
    "flow relu tanh --layers 4 --width 8",
    "perceptron --train and --activation step",
    "softmax-jacobian -1,2 --row 1 --explain",
    "plot 'x**2 - y**2' x=-2,2 y=-2,2",
    "loss mse --pred 1,2 --target '[[1],[2]]'",
    "derive 'mse(w*x, y)' --steps",
    "value 'X @ w' X='1,2;3,4' w=1,1 --shapes",
    "functions 'elu(alpha=2)'",
    "why loss is nan",
    "why",
]


@pytest.mark.parametrize(
    "words",
    [*first_usual(examples(), lambda words: words[0]), *map(shlex.split, MORE)],
    ids=shlex.join,
)
def test_a_function_gives_what_its_command_prints(words: list[str]) -> None:
    """The object of --json, and the table."""
    words, found = plain(words), call(words)
    assert found.json() == run(*words, "--json").json
    assert f"{found}\n" == run(*words, "--quiet").stdout.rstrip("\n") + "\n"


def test_there_is_a_function_for_every_command_that_computes() -> None:
    computing = {
        name.replace("-", "_")
        for name, each in COMMANDS.items()
        if issubclass(each.request, Request)
    }
    assert computing == set(FUNCTIONS)
    assert computing < set(gradcli.__all__) <= set(dir(gradcli))


KINDS: dict[str, Callable[[list[float]], Any]] = {
    "text": lambda numbers: ",".join(map(str, numbers)),
    "list": lambda numbers: numbers,
    "tuple": tuple,
    "array": np.array,
    "float32": lambda numbers: np.array(numbers, dtype=np.float32),
    "whole numbers": lambda numbers: np.array(numbers).astype(int),
    "big-endian": lambda numbers: np.array(numbers, dtype=">f8"),
    "reversed": lambda numbers: np.array(numbers[::-1])[::-1],
    "read-only": lambda numbers: np.broadcast_to(np.array(numbers), (2, len(numbers)))[1],
    "buffer": lambda numbers: array("d", numbers),
    "view": lambda numbers: memoryview(array("d", numbers)),
    "tensor": torch.tensor,
    "strided": lambda numbers: torch.tensor([numbers, numbers]).T.contiguous().T[0],
    "parameter": lambda numbers: torch.nn.Parameter(torch.tensor(numbers)),
    "in a graph": lambda numbers: torch.tensor(numbers, requires_grad=True) * 1,
    "items": lambda numbers: [torch.tensor(number) for number in numbers],
    "scalars": lambda numbers: [np.float32(number) for number in numbers],
}


@pytest.mark.parametrize("kind", KINDS)
def test_inputs_of_every_kind_are_the_same(kind: str) -> None:
    words = ("grad", "mse(w*x, y)", "x=1,2", "w=3,4", "y=1,-1", "--json")
    with warnings.catch_warnings(action="error"):
        make = KINDS[kind]
        x, w = make([1.0, 2.0]), make([3.0, 4.0])
        assert gradcli.grad("mse(w*x, y)", x=x, w=w, y=make([1.0, -1.0])).json() == run(*words).json
        assert not getattr(x, "is_leaf", True) or getattr(x, "grad", None) is None


def test_an_input_may_have_a_name_like_that_of_an_option() -> None:
    assert gradcli.grad("x*step", x=2, step=3).gradients["step"] == 2
    assert gradcli.value("stepp = 2*x; stepp", x=2, stepp=3).value == 4
    (note,) = gradcli.grad("x", x=2, inputs={"explian": 3}).notes
    assert note.code == "unused-input"
    (note,) = gradcli.grad("x", x=2, z=3).notes
    assert note.code == "unused-input"


def test_a_tensor_keeps_its_type() -> None:
    """What `tensor(..)` means in a literal, and the dtype in which a notebook would compute."""
    x = torch.tensor([0.1, 0.2, 0.7], dtype=torch.float64)
    found = gradcli.grad("cross_entropy(x, t)", x=x, t=torch.tensor(2))
    assert found.dtype == "float64"
    assert found.inputs["t"].dtype == torch.int64
    expected = torch.softmax(x, 0) - torch.tensor([0, 0, 1])
    torch.testing.assert_close(found.gradients["x"], expected, rtol=1e-15, atol=0)
    assert gradcli.grad("x.sum()", x=x, dtype="float32").dtype == "float32"
    assert (
        gradcli.value("x & y", x=torch.tensor([True]), y=np.array([False])).value.dtype
        == torch.bool
    )
    half = gradcli.grad("(x*w).sum()", x=torch.ones(2, dtype=torch.float16), w=torch.ones(2))
    assert half.dtype == "float32"  # as PyTorch promotes them


def test_tensors_are_neither_copied_nor_changed() -> None:
    x = torch.rand(3, 2, dtype=torch.float64, requires_grad=True)
    before, version = x.detach().clone(), x._version
    found = gradcli.grad("(x**2).sum()", x=x)
    assert found.inputs["x"].data_ptr() == x.data_ptr()
    for each in (found.value, found.gradients["x"], found.inputs["x"]):
        assert each is not None
        assert not each.requires_grad
    gradcli.descend("(x**2).sum()", x=x, steps=3)
    gradcli.descend("(x**2).sum()", x=x, steps=3, optimizer="lbfgs")
    gradcli.grad("y = x*1; y += 1; y.sum()", x=x, check=True, explain=True)
    assert torch.equal(x.detach(), before)
    assert x._version == version
    assert x.grad is None
    assert x.requires_grad


class Marked(torch.Tensor):
    """A subclass of the caller's."""


def test_any_state_of_the_caller_gives_the_same_answer() -> None:
    x, expected = torch.tensor([1.0, 2.0]), 2 * torch.tensor([1.0, 2.0])
    subclass = torch.tensor([1.0, 2.0]).as_subclass(Marked)

    def same(x: Any = x) -> None:
        found = gradcli.grad("(x**2).sum() + torch.zeros(1).sum()", x=x)
        assert type(found.gradients["x"]) is torch.Tensor
        assert torch.equal(found.gradients["x"], expected)

    same(subclass)
    with torch.no_grad():
        same()
    with torch.inference_mode():
        same()
        same(torch.tensor([1.0, 2.0]))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        same()
    with torch.device("meta"):
        same()
    with warnings.catch_warnings(action="ignore"), torch.autograd.detect_anomaly():
        assert gradcli.grad("sqrt(x)*0", x=0).gradients["x"].isnan()  # type: ignore[union-attr]


def test_nothing_of_the_caller_is_changed() -> None:
    def state() -> list[Any]:
        return [
            torch.get_default_dtype(), torch.get_num_threads(), torch.get_rng_state().tolist(), torch.is_grad_enabled(),
            torch.is_inference_mode_enabled(), torch.is_anomaly_enabled(), torch.get_default_device(),
            torch.are_deterministic_algorithms_enabled(), torch.is_warn_always_enabled(), list(warnings.filters),
            str(np.random.get_state()), random.getstate(), list(sys.argv), list(sys.path), list(sys.meta_path),
            torch.is_autocast_enabled("cpu"),
        ]  # fmt: skip

    dtype = torch.get_default_dtype()
    try:
        torch.set_default_dtype(torch.float64)
        torch.manual_seed(5)
        with torch.no_grad():
            before = state()
            gradcli.grad("w*rand(1)", w=2, explain=True).code()
            repr(gradcli.flow("relu", layers=3, width=4))
            gradcli.derive("mse(w*x, y)")
            gradcli.why("no-grad")
            gradcli.functions("relu")
            with pytest.raises(gradcli.GradcliError):
                gradcli.grad("x @ x", x=[[1, 2]])
            assert state() == before
        assert torch.is_grad_enabled()
    finally:
        torch.set_default_dtype(dtype)


def test_check_runs_a_file_and_leaves_nothing_behind(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "import sys, random, torch\nrandom.random()\n"
        "def f(x):\n    x += 1\n    return (x**2).sum()\ndef g(x): return (x**2).sum()\n"
    )
    before = random.getstate(), list(sys.argv), list(sys.path), set(sys.modules)
    x = torch.ones(2, dtype=torch.float64)
    assert gradcli.check(f"{file}:g", x=x).ok is True
    found = gradcli.check(f"{file}:f", x=x)
    assert (found.ok, found.check["x"].reason) == (False, "mutates")
    assert torch.equal(x, torch.ones(2, dtype=torch.float64))
    assert found.json() == run("check", f"{file}:f", "x=1,1", "--json").json
    now = random.getstate(), list(sys.argv), list(sys.path), set(sys.modules)
    assert now[:3] == before[:3]
    assert "mine" not in now[3]


def test_parts_of_a_result_are_items_and_attributes() -> None:
    found = gradcli.activate("relu", "tanh", x=[-1.0, 2.0], explain=True)
    assert torch.equal(found.functions[0].value, torch.tensor([0.0, 2.0]))
    assert found.functions[0]["name"] == "relu"
    assert found.ledger[0].operation == "input"
    assert torch.equal(found.get("functions.1.derivative"), found.functions[1].derivative)
    assert found.get("functions.0.derivative.1") == 1
    with pytest.raises(AttributeError, match="there are command, dtype"):
        found.gradients  # noqa: B018
    with pytest.raises(gradcli.GradcliError, match=r"there is no 'function\.0'"):
        found.get("function.0")


def test_every_form_of_a_result(tmp_path: Path) -> None:
    found = gradcli.grad("mse(w*x, y)", x=1, w=2, y=1, precision=3)
    words = ("grad", "mse(w*x, y)", "x=1", "w=2", "y=1")
    assert found.csv() == run(*words, "--csv").stdout
    assert found.code() == run(*words, "--code").stdout
    assert found.graph() == run(*words, "--graph", "tree").stdout
    assert found.text(get="gradients.w") == "2.0\n"
    found.save(tmp_path / "all.npz")
    assert np.load(tmp_path / "all.npz")["gradients.w"] == 2
    with pytest.raises(gradcli.GradcliError, match="does not end in one of"):
        found.save(tmp_path / "all.xyz")
    assert found._repr_html_() == found.html() == run(*words, "--html", "--precision", "3").stdout
    assert found._repr_markdown_() == run(*words, "--markdown", "--precision", "3").stdout
    assert gradcli.why().html() == run("why", "--html").stdout
    assert gradcli.derive("x**2", x=1).latex == run("derive", "x**2", "x=1", "--json").json["latex"]
    assert gradcli.why("no-grad").code == run("why", "no-grad", "--json").json["code"]


def test_a_notebook_shows_the_picture_of_a_result() -> None:
    pytest.importorskip("matplotlib")
    image = '<img src="data:image/svg+xml;base64,'
    plot = gradcli.plot("1/x", x="-1,0,1")
    assert plot._repr_html_().startswith(image)
    assert "not-a-number]</p>" in plot._repr_html_()
    assert "<table>" not in plot._repr_html_()
    assert (plot._repr_png_() or b"")[:4] == b"\x89PNG"
    descent = gradcli.descend("x**2", x=1, steps=2)._repr_html_()
    assert descent.startswith(image)
    assert "<table>" in descent
    assert gradcli.grad("x**2", x=1)._repr_png_() is None


@pytest.mark.parametrize(
    ("make", "message", "place", "hint"),
    [
        (lambda: untyped.grad("mse(w*x, y", x=1), "never closed", "mse(w*x, y\n   ^", "write mse"),
        (lambda: untyped.grad("w @ x", x=[[1, 2]], w=[[1, 2]]), "", "w @ x\n  ^", ""),
        (lambda: untyped.grad("x", x=[[1, 2], [3]]), "row 2", "[[1, 2], [3]]", "same shape"),
        (lambda: untyped.grad("x", x=np.array([1j])), "complex", "[0.+1.j]", ".real"),
        (lambda: untyped.grad("x", x=torch.ones(2).to_sparse()), "sparse", "", "to_dense"),
        (lambda: untyped.grad("x", x={"a": 1}), "expected a number", "{'a': 1}", ""),
        (lambda: untyped.grad("x", x="1,,2"), "a number is missing", "1,,2\n  ^", ""),
        (lambda: untyped.grad("x", x=1, inputs={"x": 2}), "given twice", "", "once"),
        (lambda: untyped.grad("expression", expression=2), "given twice", "", "inputs={'expr"),
        (lambda: untyped.grad("x", x=1j), "expected a number, got complex", "1j", ""),
        (lambda: untyped.grad("x", inputs=[1]), "expected a mapping", "", "inputs={"),
        (lambda: untyped.grad("x", x="-"), "does not read standard input", "", ""),
        (
            lambda: untyped.grad("x", x=1, timeout=3),
            "not an option of a function",
            "",
            "no time limit",
        ),
        (lambda: untyped.grad("x", x=1, csv=True), "not an option of a function", "", "csv()"),
        (lambda: untyped.grad("x", x=1, dtype="float33"), "is not one of", "", "float32"),
        (lambda: untyped.grad("x", x=1, dtype=torch.int32), "'int32' is not one of", "", "float32"),
        (lambda: untyped.grad("x", x=[10**400]), "too large for 64 bits", "[1000", "inf"),
        (lambda: untyped.grad("x", x=1, row=1.5), "whole number", "", ""),
        (lambda: untyped.grad(lambda x: x), "expected a text, got function", "", "gradcli.grad("),
        (lambda: untyped.activate("relu", xx=1), "no option 'xx'", "", "did you mean x"),
        (lambda: untyped.activate("relu"), "x is missing", "", ""),
        (lambda: untyped.grad("x", x=1, explian=True), "no option 'explian'", "", "mean explain?"),
        (lambda: untyped.descend("x", x=1, step=2), "no such input", "", "inputs={'step': ..}"),
        (lambda: untyped.value("x", x=1, wrt="x"), "wrt does not apply", "", ""),
        (lambda: untyped.plot(x=[1, 2]), "the expression is missing", "", ""),
        (lambda: untyped.why(run="train.py"), "not an option", "", "gradcli why --run"),
        (lambda: untyped.descend("x", x=1, steps="many"), "whole number", "many", ""),
    ],
)
def test_an_error_has_its_message_its_place_and_a_hint(
    make: Callable[[], Any], message: str, place: str, hint: str
) -> None:
    with pytest.raises(gradcli.GradcliError) as raised:
        make()
    error = raised.value
    assert isinstance(error, errors.GradcliError)
    assert message in error.message
    assert place in error.place
    assert hint in error.hint
    assert error.message in str(error)
    assert all(line.strip() in str(error) for line in error.place.splitlines())


@pytest.mark.parametrize("dtype", [np.float64, np.dtype("float64"), torch.float64, "float64"])
def test_dtypes_and_devices_may_be_those_of_numpy_and_pytorch(dtype: Any) -> None:
    found = untyped.grad("x/3", x=1, dtype=dtype, device=torch.device("cpu"))
    assert found.gradients["x"].dtype == torch.float64
    assert found.value.item() == 1 / 3


def test_an_exception_can_be_asked_about() -> None:
    x = torch.ones(2)
    with pytest.raises(RuntimeError) as raised:
        x.sum().backward()  # type: ignore[no-untyped-call]
    assert gradcli.why(raised.value).name == "no-grad"


def test_calls_from_several_threads_do_not_disturb_each_other() -> None:
    found: list[bool] = []

    def work(number: int) -> None:
        dtype = ("float32", "float64")[number % 2]
        for _ in range(5):
            result = untyped.grad("w*rand(1)", w=2.0, seed=number, dtype=dtype)
            torch.manual_seed(number)
            found.append(result.gradients["w"].dtype == getattr(torch, dtype))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 20
    assert torch.get_default_dtype() == torch.float32


@pytest.mark.smoke
def test_importing_gradcli_loads_nothing() -> None:
    script = (
        "import sys; before = set(sys.modules); import gradcli; new = set(sys.modules) - before\n"
        "assert new == {'gradcli'}, new\n"
        "import gradcli.errors; gradcli.grad; help(gradcli.grad)\n"
        "assert not {'torch', 'numpy', 'typer', 'rich'} & set(sys.modules)\n"
        "assert not hasattr(gradcli, 'grda')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "mse(w*x" in done.stdout
    assert "Result" in done.stdout
