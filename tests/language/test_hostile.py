"""Hostile and broken expressions: each ends in one clear error, and nothing is executed or written.

`cases/hostile.txt` holds an expression over the first line of its error; run this file as a program
to write the errors again. A line with a backslash is read with Python's escapes. The last sections
kill or stall PyTorch, so they go through the whole program, which supervises it; the others are
read and computed in this process.
"""

import ast
import faulthandler
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from gradcli.errors import GradcliError
from gradcli.evaluate import growth
from gradcli.evaluate.machine import evaluate
from gradcli.language.expressions.expression import parse
from gradcli.language.limits import EXPRESSION_DEPTH, EXPRESSION_NODES, EXPRESSION_TEXT
from gradcli.language.source import Source
from tests.choice import LONG_CHAIN, first_usual, in_rows, rare
from tests.program import TORCH, run

FILE = Path(__file__).parents[1] / "cases" / "hostile.txt"
SUPERVISED = ("# runs for minutes", "# ends the process")
INPUTS = {"x": "1,-2,3", "y": "0.5,2,1", "A": "1,2;3,4", "t": "tensor([0,2,1])", "s": "2"}


def cases() -> Iterator[tuple[str, str, bool]]:
    """Every expression, the first line of its error, and whether it needs supervision."""
    supervised = False
    for block in FILE.read_text(encoding="utf-8").split("\n\n"):
        *head, error = block.strip("\n").split("\n")
        if not head:
            supervised = error in SUPERVISED
        else:
            yield decoded(head[0]), error.strip(), supervised


def decoded(typed: str) -> str:
    """A line of the file as the user's text."""
    return typed.encode().decode("unicode_escape") if "\\" in typed else typed


def tensors() -> dict[str, torch.Tensor]:
    return {
        "x": torch.tensor([1.0, -2.0, 3.0], requires_grad=True),
        "y": torch.tensor([0.5, 2.0, 1.0], requires_grad=True),
        "A": torch.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True),
        "t": torch.tensor([0, 2, 1]),
        "s": torch.tensor(2.0, requires_grad=True),
    }


BEFORE_2_13 = {
    "sum(*x)": "it does not take (Tensor, Tensor, Tensor)",
    "torch.sum(x, 'a')": "Name 'a' not found in Tensor[None].",
    "torch.zeros(-1)": "a size must not be negative, as -1 is",
    "torch.ones(2, dtype='float32')": "it does not take (int, dtype=str)",
    "torch.ones(2, dtype=x)": "it does not take (int, dtype=Tensor)",
}
"""What earlier versions say of an expression."""
UNSAFE_BEFORE_2_13 = "ldl_solve"
"""The function that reads beyond its arguments there."""


def error_of(expression: str) -> GradcliError:
    inputs = tensors()
    with pytest.raises(GradcliError) as caught:
        evaluate(parse(Source(expression), tuple(inputs)), inputs)
    return caught.value


DEEDS = (
    "os.system", "os.exec", "os.spawn", "os.posix_spawn", "os.fork", "os.kill", "os.remove", "os.rename", "os.mkdir",
    "os.rmdir", "os.chmod", "os.chown", "os.link", "os.symlink", "os.truncate", "os.putenv", "subprocess.", "socket.",
    "shutil.", "ctypes.dlopen", "pickle.find_class", "sys.settrace", "webbrowser.open", "urllib.Request",
)  # fmt: skip


class Watch:
    """Notes what Python does beyond reading text: code run from a string, processes, sockets, files
    written.
    """

    def __init__(self) -> None:
        self.on = False
        self.seen: list[str] = []
        sys.addaudithook(self.hook)  # for as long as the process lives, so one switch for all tests

    def hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.on:
            return
        runs_text = event == "exec" and getattr(arguments[0], "co_filename", "").startswith(
            ("<string", "<unknown")
        )
        writes = (
            event == "open"
            and isinstance(arguments[2], int)
            and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        )
        if runs_text or writes or event.startswith(DEEDS):
            self.seen.append(f"{event} {arguments}")


WATCH = Watch()
SAFE = [case[:2] for case in cases() if not case[2]]
LETHAL = [case[:2] for case in cases() if case[2]]


@pytest.mark.parametrize("case", first_usual(SAFE, in_rows(3, SAFE)), ids=lambda case: case[0][:60])
@pytest.mark.filterwarnings("ignore")
def test_one_clear_error(case: tuple[str, str]) -> None:
    expression, error = case
    errors = [error.removeprefix("error: ")]
    if TORCH < (2, 13):
        if UNSAFE_BEFORE_2_13 in expression:
            pytest.skip("it may end the process")
        errors.append(f"{error.split(': ')[1]}: {BEFORE_2_13.get(expression)}")
    WATCH.seen.clear()
    WATCH.on = True
    try:
        found = error_of(expression)
    finally:
        WATCH.on = False
    assert found.message in errors
    assert found.span is not None
    assert len(found.message) + len(found.hint) < 1500
    assert found.hint.count("\n") < 4
    assert WATCH.seen == []


def test_the_watch_sees_what_it_is_for(tmp_path: Path) -> None:
    WATCH.seen.clear()
    WATCH.on = True
    try:
        exec(compile("1", "<string>", "exec"))
        (tmp_path / "pwned").write_text("")
    finally:
        WATCH.on = False
    assert [event.split()[0] for event in WATCH.seen] == ["exec", "open"]


@pytest.mark.parametrize(
    ("expression", "error"),
    [*LETHAL[::3], *(rare(*LETHAL[i]) for i in range(len(LETHAL)) if i % 3), *SAFE[::40]],
    ids=lambda text: text[:60],
)
def test_the_whole_program_ends_with_status_2(expression: str, error: str, tmp_path: Path) -> None:
    words = [f"{name}={literal}" for name, literal in INPUTS.items()]
    faulthandler.disable()  # pytest's would print the end of the child
    ran = run("grad", expression, *words, "--timeout", "1", cwd=str(tmp_path))
    assert (ran.status, ran.stdout) == (2, "")
    assert ran.stderr.splitlines()[0] == error
    assert list(tmp_path.iterdir()) == []


DOUBLING = "a = (1., 1.); " + "a = (a, a); " * 60
"""A sequence of 2**61 numbers, were anyone to walk through it."""

TOO_MANY = (
    "the expression is too long: 10,001 operations"
    if sys.version_info >= (3, 14)  # which reads it
    else "the expression is too long or nested too deep"
)
LARGE = {
    "text": ("x +" + " " * EXPRESSION_TEXT.value + "x", "the expression is too long"),
    "nodes": ("; ".join(["x + x*x"] * (EXPRESSION_NODES.value // 4)), "the expression is too long"),
    "brackets": ("(" * 201 + "x" + ")" * 201, "the expression is nested too deep: 201 levels"),
    "brackets in a text": ("f'{" + "(" * 300 + "}'", "the expression is nested too deep"),
    "lists": ("[" * 201 + "x" + "]" * 201, "the expression is nested too deep"),
    "calls": ("sin(" * 201 + "x" + ")" * 201, "the expression is nested too deep"),
    "indices": ("x[" * 201 + "0" + "]" * 201, "the expression is nested too deep"),
    "signs": ("-" * 201 + "x", "the expression is nested too deep"),
    "many signs": ("-" * 50_000 + "x", "the expression is too long or nested too deep"),
    "powers": ("**".join(["x"] * 5_000), "the expression is too long or nested too deep"),
    "choices": ("x if 1 else " * 300 + "x", "the expression is nested too deep"),
    "sum": ("+".join(["x"] * 50_000), TOO_MANY),
    "open brackets": ("(" * 99_999, "the expression is nested too deep"),
    "questions": ("?" * 99_999, "invalid syntax"),
    "bars": ("|x" * 49_999, "invalid syntax"),
    "digits": ("9" * 99_999, "a whole number has at most 64 bits"),
    "dots": ("x" + ".abs()" * 15_000, TOO_MANY),
    "strings": ("'" + "a" * 99_000, "unterminated string literal"),
    "null": ("x\0", "source code string cannot contain null bytes"),
    "surrogate": ("x + '\ud800'", "invalid character"),
    "doubling": (DOUBLING + "a", "the result is a sequence, not a tensor"),
    "doubling, into a tensor": (DOUBLING + "torch.tensor(a)", "too many values for torch.tensor"),
    "doubling, as a size": (DOUBLING + "zeros(a)", "zeros: a size must be a whole number"),
    "doubling, as an index": (DOUBLING + "x[a]", "index: "),
    "doubling, compared": (
        DOUBLING + "c = (a, a); (a, a) == c",
        "nested sequences cannot be compared",
    ),
    "a deep list": (
        "a = (1.,); " + "a = (a,); " * 1_500 + "torch.tensor(a)",
        "tensor: too many dimensions",
    ),
    "empty": ("", "the expression is empty"),
}


@pytest.mark.parametrize("name", LARGE)
def test_bounds_hold_before_anything_is_computed(name: str) -> None:
    expression, message = LARGE[name]
    error = error_of(expression)
    assert error.message.startswith(message)
    assert error.span is not None


@pytest.mark.parametrize(
    "expression",
    [
        "(" * 200 + "x" + ")" * 200,
        "sin(" * 200 + "x" + ")" * 200,
        "-" * 200 + "x",
        pytest.param("+".join(["x"] * 4_900), marks=LONG_CHAIN),
        pytest.param("x" + ".sin()" * 2_500, marks=LONG_CHAIN),
        "; ".join(["n = x*x"] * 2_000),
        "x" + " " * (EXPRESSION_TEXT.value - 1),
        "+".join(["(x)"] * 300),
        "x # " + "(" * 300,
        "x if '" + "[" * 300 + "' == '' else x",
    ],
    ids=lambda text: text[:8],
)
def test_what_is_within_the_bounds_is_computed(expression: str) -> None:
    inputs = tensors()
    value = evaluate(parse(Source(expression), tuple(inputs)), inputs).value
    assert value.shape == (3,)


NEWER = {
    "TypeAlias": ("type X = int", "'type' statements are not allowed"),
    "TemplateStr": ("t'{x}'", "t-strings are not allowed: they run code"),
}


@pytest.mark.parametrize("kind", NEWER)
def test_syntax_that_only_a_newer_python_reads_is_refused_by_name(kind: str) -> None:
    if not hasattr(ast, kind):
        pytest.skip("this Python does not read it")
    expression, message = NEWER[kind]
    assert error_of(expression).message == message


FORESEEN = """
zeros(2, 3); ones((2, 3)); rand([2, 3]); randn(size=(2, 3)); zeros(()); x.new_zeros(2, 3); x.new_ones((4,))
torch.full((2, 3), 7); x.new_full((2, 2), 1.); torch.randint(0, 9, (2, 3)); torch.normal(0., 1., (2, 3)); arange(5)
arange(1, 7, 2); arange(5., 0., -1.); linspace(0, 1, 7); logspace(0, 1, steps=4); eye(3); eye(2, 4); randperm(5)
hann_window(6); fft.fftfreq(5); x.repeat(2, 3); x.tile((2, 2)); x.tile(dims=(2, 2))
outer(x, y); kron(A, A); matmul(A, ones(2, 3))
matmul(ones(2, 1, 2, 3), ones(5, 3, 4)); bmm(A[None], A[None]); linear(ones(4, 2), ones(3, 2))
tensordot(x, y, dims=0); einsum('ij,jk->ik', A, ones(2, 3)); einsum('ij,jk', A, ones(2, 3))
einsum(' i , j -> i j ', x, y); einsum('i,i', x, y); einsum('ij->', A)
einsum('i,j->ij', [x, y]); cartesian_prod(x, y); repeat_interleave(x, 3)
repeat_interleave(x, tensor([1, 2, 3])); block_diag(A, ones(1, 3)); cdist(ones(3, 2), A); cov(A); corrcoef(ones(3, 2))
cov(x); diag(x); diag(x, 1); diag(x, -2); diagflat(x); vander(x); vander(x, 5); torch.linalg.vander(x, N=2)
one_hot(t, 4); one_hot(t); bincount(t); bincount(t, minlength=7); histc(x, 5); pad(A, (1, 2)); pad(A, (1, 2, 3, 0))
interpolate(x[None, None], size=7); interpolate(x[None, None], scale_factor=2)
interpolate(A[None, None], scale_factor=(2, 3)); interpolate(A[None, None], size=5)
F.conv_transpose1d(ones(2, 1, 4), ones(1, 3, 1), stride=2)
F.conv_transpose2d(ones(1, 1, 3, 4), ones(1, 2, 1, 1), stride=(2, 3)); fft.fft(x); fft.fft(x, 8)
fft.fft2(A, s=(4, 5)); fft.fftn(ones(2, 3, 4), s=(5,)); F.fold(ones(1, 4, 4), (3, 3), 2)
affine_grid(ones(1, 2, 3), (1, 1, 4, 5)); adaptive_avg_pool1d(A, 5); adaptive_max_pool2d(A[None], (3, 4))
adaptive_avg_pool2d(A[None], 3)
"""


@pytest.mark.parametrize("text", FORESEEN.replace("\n", ";").strip(";").split(";"), ids=str.strip)
@pytest.mark.filterwarnings("ignore")
def test_the_size_that_is_foreseen_is_the_size_that_comes(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    foreseen: list[float] = []
    monkeypatch.setattr(growth, "refuse", lambda name, elements: foreseen.append(elements))
    inputs = tensors()
    value = evaluate(parse(Source(f"v = {text.strip()}; v.abs()"), tuple(inputs)), inputs).value
    assert foreseen[-1] == value.numel()


def test_there_are_enough_of_them() -> None:
    assert len(SAFE) + len(LETHAL) >= 400
    assert EXPRESSION_DEPTH.value == 200


def update() -> None:
    """Write the error of every expression again."""
    errors = {expression: now(expression, supervised) for expression, _, supervised in cases()}
    blocks = []
    for block in FILE.read_text(encoding="utf-8").split("\n\n"):
        typed, *old = block.strip("\n").split("\n")
        blocks.append(f"{typed}\n  {errors[decoded(typed)]}" if old else typed)
    text = "\n\n".join(blocks) + "\n"
    FILE.write_text(text, encoding="utf-8")


def now(expression: str, supervised: bool) -> str:
    if not supervised:
        return f"error: {error_of(expression).message}"
    words = [f"{name}={literal}" for name, literal in INPUTS.items()]
    return run("grad", expression, *words, "--timeout", "1").stderr.splitlines()[0]


if __name__ == "__main__":
    update()
