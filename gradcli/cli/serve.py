"""The program of the server: every module, and a call of every kind to run once.

So a worker finds nothing left to import, and little memory left to touch for the first time.
"""

import os
import pkgutil
import shlex
from collections.abc import Iterator
from importlib import import_module

import gradcli
from gradcli.cli.main import run
from gradcli.cli.words import parser
from gradcli.commands import COMMANDS
from gradcli.options.shared import ComputeOptions
from gradcli.process.server import serve
from gradcli.process.server_worker import Program
from gradcli.process.sources import Files
from gradcli.process.worker import Progress
from gradcli.world import World

_FORMS = (
    "grad --fn mse --x 1 --w 2",  # the one that a worker answers before it waits for a caller
    "",
    "grad --help",
    "grad --nonsense",
    "grad --fn mse --x 1,,2",
    "grad --fn mse --x 1 --w 2 --json",
    "grad --fn mse --x 1 --w 2 --csv",
    "grad --fn mse --x 1 --w 2 --get gradients.w",
    "grad --fn mse --x 1 --w 2 --code",
    "grad --fn mse --x 1 --w 2 --graph tree",
    "grad --fn mse --x 1 --w 2 --explain --check --expect w=2",
    "grad 's=sigmoid(W@x);(s*s).sum()' W='randn(2,3)' x=1,2,3 --via backward",
    "grad x**2 x='linspace(0,1,3)' --each x",
    "perceptron --train and --activation step --epochs 3",
    "functions relu",
    "why",
)
"""Calls of each form. None of them may make PyTorch warn: it warns of some things only once."""


def _calls() -> tuple[str, ...]:
    """`_FORMS` as calls, and the first example of each command that computes numbers."""
    computing = [item for item in COMMANDS.values() if issubclass(item.request, ComputeOptions)]
    examples = [command.examples[0][0] for command in computing]
    return (*(f"gradcli {words}" for words in _FORMS), *examples)


_NOT_LOADED = (
    "gradcli.__main__", "gradcli.process.client", "gradcli.api", "gradcli.cli.session_calls",
    "gradcli.show.pictures.drawing", "gradcli.show.pictures.figure",  # matplotlib: 24 MB, for --out
    *(f"{command.folder}.picture" for command in COMMANDS.values()),
)  # fmt: skip


class _NoLimits(Progress):
    """The progress of a call that the server itself runs: it must not change this process."""

    def begin(self) -> None:
        """Keep the signals as they are."""

    def computing(self, seconds: float, *, limit_memory: bool) -> None:
        """Bound nothing."""

    def step(self, seconds: float) -> None:
        """Set no alarm."""


def _load() -> Iterator[None]:
    for module in pkgutil.walk_packages(gradcli.__path__, "gradcli."):
        if not module.name.startswith(_NOT_LOADED):
            import_module(module.name)
            yield
    for command in COMMANDS.values():
        parser(command)
        yield


def _run(arguments: list[str], progress: Progress) -> int:
    return run(arguments, World.current(), progress)


def _try(words: str) -> int:
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        world = World(stdin=None, stdout=nowhere, stderr=nowhere, environ={}, width=80)
        return run(shlex.split(words)[1:], world, _NoLimits())


PROGRAM = Program(
    _load, _run, _try, _calls(), ("torch", "torch.version", "numpy", "orjson", "rich", "typer")
)


def main(path: str, idle: float, files: Files, owner: int = -1) -> None:
    """Serve gradcli, of these files, at `path` until nobody has called for `idle` seconds, or until
    the other end of `owner` is closed, if that is a descriptor.
    """
    serve(path, idle, PROGRAM, files, owner)
