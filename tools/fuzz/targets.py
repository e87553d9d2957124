"""The table of what is fuzzed: how an input is made, how it is run, and how many of a hundred
inputs are of this kind.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from gradcli.cli import main as program
from gradcli.cli.complete import complete
from gradcli.commands import COMMANDS
from gradcli.commands.dispatch import compute
from gradcli.commands.session import lines as session
from gradcli.commands.why.request import Why
from gradcli.errors import UsageError
from gradcli.language import calls
from gradcli.language.literals import literal
from gradcli.language.source import Source
from gradcli.options.check import check
from gradcli.results import Result
from gradcli.show import json as show_json
from gradcli.world import World
from tools.fuzz import answers, files, grammar, mutation, networks, requests, runners
from tools.fuzz.grammar import Chance
from tools.fuzz.runners import Call, Scratch

Draw = Callable[[Chance, int], Any]
"""Makes an input, the one of that number in its block."""
Run = Callable[[Sequence[Any], Scratch], Sequence[str]]
"""Runs a block of inputs: a verdict for each."""


@dataclass(frozen=True)
class Target:
    """One kind of input: `share` of a hundred inputs, `size` of them in a block."""

    name: str
    draw: Draw
    run: Run
    share: float
    size: int


def _jobs(draw: Callable[..., Mapping[str, Any]]) -> Draw:
    """Jobs that can be read, so that each result line must have its number."""
    return lambda chance, number: requests.written(draw(chance, id=number))


def _side_by_side(given: Sequence[bytes], scratch: Scratch) -> list[str]:
    return runners.lines(given, scratch, ("--jobs", "2"))


def _texts(read: Callable[[str], object]) -> Run:
    return lambda given, scratch: [runners.text(read, each) for each in given]


def _draw(draw: Callable[[Chance], Any]) -> Draw:
    return lambda chance, number: draw(chance)


def _read_words(words: str) -> None:
    """As far as a call goes without PyTorch: words, given as JSON, to a checked request."""
    command, *rest = json.loads(words) or [""]
    world = World.current()
    found = program._read(program._command([command]), rest, world)
    if command not in ("batch", "completion", "functions", "server", "session", "why"):
        check(found.request, lambda: "1 2 3")


def _words(chance: Chance, number: int) -> str:
    return json.dumps(requests.words(chance), ensure_ascii=False)


def _read_session(text: str) -> None:
    """A line of a session after others, as far as the words of its call."""
    state = session.State()
    for line in ("x = 1,-2,3", "A = 1,2;3,4", "n = sin(x)*2", "(n**2).sum()", text):
        session.unfinished(line)
        state, words = session.read(session.cleaned(line), state)
    assert all(isinstance(word, str) for word in words)


def _call(chance: Chance, number: int) -> Call:
    words = tuple(requests.words(chance))
    takes_jobs = words[:1] == ("batch",)
    text = chance.choice((grammar.literal, grammar.expression, grammar.message))(chance).encode(
        "utf-8", "replace"
    )
    stdin = b"\n".join(requests.line(chance) for _ in range(3)) if takes_jobs else text
    stdin = mutation.raw(stdin, chance, [b"1 2 3", b"\xff\xfe"]) if chance.random() < 0.1 else stdin
    return Call(
        words,
        stdin if takes_jobs or chance.random() < 0.5 else b"",
        chance.choice(runners.SURROUNDINGS),
    )


@cache
def results() -> list[Result]:
    """Results of several commands, for paths to lead into. Whoever forks after it has all of
    PyTorch loaded that they need.
    """
    found = []
    for words in (
        ["grad", "n = w*x; mse(n, 1)", "x=1,2", "w=2", "--explain", "--check", "--expect", "w=1"],
        ["activate", "relu", "gelu", "--x=-1,0,2"], ["loss", "mse", "l1", "--pred=1,2,3", "--target=0,0,0"], ["jacobian",
        "x**2", "x=linspace(0,1,50)"],
        ["hessian", "(x**2).sum()", "x=1,2"], ["descend", "x**2", "x=1", "--steps", "4"], ["softmax-jacobian", "1,2,3"],
        ["plot", "relu"],
        ["perceptron", "--train", "and", "--epochs", "2"], ["flow", "--layers", "3", "--width", "4"], ["grad", "x.sum()",
        "x=zeros(0)"],
    ):  # fmt: skip
        read = program._read(COMMANDS[words[0]], words[1:], World.current())
        result = compute(
            check(read.request, str), lambda step, operands: None, lambda number, total: None
        )
        assert isinstance(result, Result)
        found.append(result)
    return found


def _follow(path: str) -> None:
    """Look for a path in every result; raises what the last refusal was where it leads nowhere in
    all.
    """
    refused = None
    for result in results():
        try:
            show_json.render_path(result, path)
        except UsageError as error:
            refused = error
            addresses_error = runners.drawn(error, path)
            assert not addresses_error, addresses_error
    if refused:
        raise refused


def _completed(line: str) -> None:
    for shell in ("bash", "zsh"):
        complete(shell, [line, " \t\n\"'><=;|&(:"] if shell == "bash" else line.split(" "))


TARGETS: Mapping[str, Target] = {
    target.name: target
    for target in (
        Target("literals", _jobs(requests.of_literal), runners.lines, 26, 4_000),
        Target(
            "pasted numbers",
            _draw(grammar.literal),
            _texts(lambda t: literal.parse_stream(Source(t, "standard input"))),
            18,
            1_000,
        ),
        Target("expressions", _jobs(requests.of_expression), runners.lines, 10, 2_000),
        Target("right jobs", _jobs(requests.right), runners.lines, 7, 1_000),
        Target("derive", _jobs(requests.of_derive), runners.lines, 1, 200),
        Target("operators", _jobs(requests.of_operator), runners.lines, 1.2, 500),
        Target("formulas", _jobs(answers.formula), runners.lines, 1, 200),
        Target("backward passes", _draw(answers.backward), answers.judged, 0.5, 100),
        Target("own code", _draw(answers.own_code), answers.watched, 0.05, 10),
        Target("networks", _jobs(networks.job), runners.lines, 1.5, 200),
        Target(
            "batch lines", lambda chance, number: requests.line(chance), _side_by_side, 16, 2_000
        ),
        Target("words", _words, _texts(_read_words), 6, 500),
        Target(
            "calls",
            _call,
            lambda given, scratch: [runners.call(each, scratch) for each in given],
            0.3,
            20,
        ),
        Target("session lines", _draw(requests.session_line), _texts(_read_session), 1, 300),
        Target("files", lambda chance, number: files.draw(chance), files.run, 8, 1_500),
        Target(
            "names",
            _draw(grammar.function),
            _texts(lambda t: calls.parse_call(Source(t, "NAME"))),
            7,
            1_000,
        ),
        Target(
            "pasted errors",
            _draw(grammar.message),
            _texts(lambda t: Why(words=(t,)).find(str)),
            3,
            300,
        ),
        Target("paths", _draw(grammar.path), _texts(_follow), 2, 300),
        Target("expectations", _jobs(requests.of_expectation), runners.lines, 2, 1_000),
        Target(
            "completion",
            _draw(lambda chance: "gradcli " + " ".join(requests.words(chance))),
            _texts(_completed),
            0.5,
            200,
        ),
    )
}
