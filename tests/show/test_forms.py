"""The forms for another page, read back by parsers of others: every cell is the table's."""

import shlex
from collections.abc import Iterator, Sequence
from functools import cache

import pytest
from markdown_it import MarkdownIt

from gradcli.commands import COMMANDS
from tests.program import Ran, run

NONE = {"batch", "server", "completion"}
"""The commands without tables."""
MORE = (
    "grad 'h = w*x + b; O = sigmoid(h); (O - t)**2 / 2' x=1 w=0.5 b=0 t=1 --explain --check",
    "grad 'softmax(x, 0)[1]' x=1,2,3 --explain --check --expect x=1,2,3",
    "grad 'mse(X @ w, y)' X='randn(3,2)' w=1,2 y=1,2,3 --jvp w=1,0 --explain",
    "grad 'x*y' x=1,2,3 y=2,3,4 --each x,y",
    "grad 'where(a_b | (a_b < 2*x), x, -x).sum()' a_b=True,False x=1,2",
    "grad \"net = nn.Sequential(nn.Linear(2,2), nn.Tanh()); mse(net(x), y, reduction='sum')\" x='1,2;3,4' y='1,2;3,4'",
    "grad 'relu(x)' x=0",
    "value 'x @ w' x='randn(50,60)' w='randn(60,40)'",
    "softmax-jacobian 2,1,0.1 --explain",
    "plot 'x**2 - y**2' x=-2,2 y=-2,2 --check",
    "derive 'cholesky(A)' A='eye(2)'",
    "flow --activation relu --layers 4",
    "why",
)
FORMS = ("markdown", "latex", "html")


def calls() -> Iterator[list[str]]:
    """The examples in help of every command with tables that need no file, and more."""
    for name, command in COMMANDS.items():
        if name not in NONE:
            for line, _ in command.examples:
                words = shlex.split(line)
                if words[0] == "gradcli" and ".py" not in line and "--get" not in words:
                    yield [word for word in words[1:] if not word.startswith(("--json", "--csv"))]
    yield from map(shlex.split, MORE)


@cache
def shown(words: tuple[str, ...], *form: str) -> Ran:
    return run(*words, *form)


def tables(text: str) -> list[list[list[str]]]:
    """The cells of the tables that a terminal shows, without a bound on its width."""
    found: list[list[list[str]]] = []
    for line in text.split("\n"):
        if line.startswith("╭"):
            found.append([])
        elif line.startswith("│"):
            found[-1].append([cell.strip() for cell in line[1:-1].split("│")])
    return found


def markdown_tables(text: str) -> list[list[list[str]]]:
    found: list[list[list[str]]] = []
    for token in MarkdownIt("commonmark").enable("table").enable("strikethrough").parse(text):
        if token.type == "table_open":
            found.append([])
        elif token.type == "tr_open":
            found[-1].append([])
        elif token.type == "inline" and found and token.level > 2:
            children = token.children or []
            assert {child.type for child in children} <= {"text", "code_inline", "text_special"}
            found[-1][-1].append("".join(child.content for child in children).strip())
    return found


@pytest.mark.parametrize("words", [*calls()], ids=" ".join)
def test_markdown_has_the_cells_of_the_terminal(words: Sequence[str]) -> None:
    plain, marked = shown(tuple(words)), shown(tuple(words), "--markdown")
    assert marked.status == plain.status, marked.stderr
    if words[0] not in ("plot", "functions") and "--shapes" not in words:
        assert markdown_tables(marked.stdout) == tables(plain.stdout)
