"""The program of the server: loads every module and runs every kind of call once, and then serves the command line.

So a worker finds nothing left to import, and little memory left to touch for the first time.
"""

import os
import pkgutil
from importlib import import_module
from importlib.util import find_spec

import gradcli
from gradcli.cli.main import run
from gradcli.cli.words import parser
from gradcli.commands.commands import COMMANDS
from gradcli.process.server import serve
from gradcli.process.server_worker import Program
from gradcli.process.worker import Progress
from gradcli.world import World

CALLS = (
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
    "grad s=sigmoid(W@x);(s*s).sum() W=randn(2,3) x=1,2,3 --via backward",
    "grad x**2 x=linspace(0,1,3) --each x",
    "activate sigmoid relu softmax --x -1,0,2",
    "loss mse cross_entropy --pred 2,1,0.1 --target 0,0,1",
    "softmax-jacobian 2,1,0.1",
    "perceptron --x 1,0.5 --w 0.3,-0.2 --target 1",
    "perceptron --train and --activation step --epochs 3",
    "jacobian sigmoid(W@x) W=randn(2,2) x=1,2",
    "hessian x**2-y**2 x=0 y=0",
    "flow relu --layers 2 --width 2",
    "functions relu",
    "why",
    "grad --fn mse --x 1 --w 2",
)
"""Calls of each kind, words separated by blanks. None of them may make PyTorch warn: it warns of some things only once."""
_NOT_LOADED = ("gradcli.__main__", "gradcli.catalogue.generate_operators", "gradcli.process.client")
_NEED_MATPLOTLIB = ("gradcli.show.pictures.drawing", "gradcli.show.pictures.picture")


class _NoLimits(Progress):
    """The progress of a call that is run by the server itself: nothing of this process may change."""

    def begin(self) -> None:
        """Keep the signals as they are."""

    def computing(self, seconds: float, *, limit_memory: bool) -> None:
        """Bound nothing."""

    def step(self, seconds: float) -> None:
        """Set no alarm."""


def _load() -> None:
    unwanted = _NOT_LOADED if find_spec("matplotlib") else (*_NOT_LOADED, *_NEED_MATPLOTLIB)
    for module in pkgutil.walk_packages(gradcli.__path__, "gradcli."):
        if not module.name.startswith(unwanted):
            import_module(module.name)
    for command in COMMANDS.values():
        parser(command)


def _run(arguments: list[str], progress: Progress) -> int:
    return run(arguments, World.current(), progress)


def _try(words: str) -> None:
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        run(words.split(), World(stdin=None, stdout=nowhere, stderr=nowhere, environ={}, width=80), _NoLimits())


PROGRAM = Program(_load, _run, _try, CALLS, ("torch", "torch.version", "numpy", "orjson", "rich", "typer"))


def main(path: str, idle: float) -> None:
    """Serve at `path` until nobody has called for `idle` seconds."""
    serve(path, idle, PROGRAM)
