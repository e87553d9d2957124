"""What the server has behind it before the first call: every module loaded, every kind of call run once.

So a worker finds nothing left to import, and little left to touch for the first time.
"""

import contextlib
import gc
import os
import pkgutil
import resource
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import TextIO

import gradcli
from gradcli.cli.words import parser
from gradcli.commands import COMMANDS
from gradcli.process import wire
from gradcli.process.supervise import Progress
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
"""Calls of each kind, words parted by blanks. None of them may make PyTorch warn: it warns of some things only once."""
_NOT_LOADED = ("gradcli.__main__", "gradcli.catalogue.generate_operators", "gradcli.process.client")
_BY_MATPLOTLIB = ("gradcli.show.pictures.drawing", "gradcli.commands.plot.picture")
_LIBRARIES = ("torch", "torch.version", "numpy", "orjson", "rich", "typer")


Bounds = dict[int, tuple[int, int]]
"""What `ulimit` shows of a process: the soft and the hard bound of each resource."""


_RESOURCES = {getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_")}


def bounds_of(process: int) -> Bounds:
    """The bounds of a process of this user, 0 for this one; none where the system does not tell.

    Raises OSError where there is no such process.
    """
    if not hasattr(resource, "prlimit"):
        return {}
    return {number: resource.prlimit(process, number) for number in _RESOURCES}


@dataclass(frozen=True)
class Sources:
    """The files that a server was made of, as they were then."""

    files: dict[str, tuple[int, int, int]]

    def unchanged(self) -> bool:
        """Whether a process started now would load the same."""
        try:
            return all(_state(path) == state for path, state in self.files.items())
        except OSError:
            return False


@dataclass(frozen=True)
class Loaded:
    """What a worker has to know of the process that it is forked from."""

    torch: str
    threads: int
    surroundings: tuple[str, str, list[int], list[tuple[str, str]]]
    sources: Sources
    bounds: Bounds

    def restore_threads(self) -> None:
        """Let PyTorch compute with as many threads as in a cold call. The server has one: a pool does not survive a fork."""
        import torch

        torch.set_num_threads(self.threads)


class _Rehearsal(Progress):
    """The progress of a call that is run by the server itself: nothing of this process may change."""

    def begin(self) -> None:
        """Keep the signals as they are."""

    def computing(self, seconds: float, *, limit_memory: bool) -> None:
        """Bound nothing."""

    def step(self, seconds: float) -> None:
        """Set no alarm."""


def load() -> Loaded:
    """Load and rehearse everything. To be called once, before any other use of PyTorch."""
    surroundings = wire.surroundings()
    files = {path: _state(path) for path in _own_files()}
    gc.disable()  # nothing of what loading makes is garbage
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    unwanted = _NOT_LOADED if find_spec("matplotlib") else (*_NOT_LOADED, *_BY_MATPLOTLIB)
    for module in pkgutil.walk_packages(gradcli.__path__, "gradcli."):
        if not module.name.startswith(unwanted):
            import_module(module.name)
    if not (torch.version.cuda or torch.version.hip or torch.backends.mps.is_built()):
        for words in CALLS:  # with an accelerator the first backward pass starts threads, which no fork has
            _play(words)
    for command in COMMANDS.values():
        parser(command)
    libraries = filter(None, (import_module(name).__file__ for name in _LIBRARIES))
    files |= {path: _state(path) for path in libraries}
    gc.enable()
    gc.collect()
    gc.freeze()  # a collection in a worker would write to every object, and so copy every page
    return Loaded(torch.__version__, threads, surroundings, Sources(files), bounds_of(0))


def _play(words: str) -> None:
    from gradcli.cli.main import run

    with _nowhere() as stream:
        run(words.split(), World(stdin=None, stdout=stream, stderr=stream, environ={}, width=80), _Rehearsal())


@contextlib.contextmanager
def _nowhere() -> Iterator[TextIO]:
    with open(os.devnull, "w", encoding="utf-8") as stream:
        yield stream


def _own_files() -> list[str]:
    return [
        os.path.join(folder, name)
        for folder, _, names in os.walk(os.path.dirname(gradcli.__file__))
        for name in names
        if name.endswith((".py", ".txt"))
    ]


def _state(path: str) -> tuple[int, int, int]:
    found = os.stat(path)
    return found.st_mtime_ns, found.st_size, found.st_ino
