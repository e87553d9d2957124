"""What is measured: each command, the program that it is compared with, and the target."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from tools.benchmarks import programs


@dataclass(frozen=True)
class Row:
    """A gradcli command, the program that it is compared with (a cold call of gradcli where there
    is none), and the most that the ratio of the two may be.

    `kind` is what is measured: the seconds of a whole command, the peak memory of all its
    processes, or the memory of the server that a warm command leaves idle, in MB, for which there
    is no program. With `stdin` a command reads that file, and its time is that with `stdin` less
    that with `one-stdin`, which holds the first line alone, so that start and imports are left out.
    """

    name: str
    words: tuple[str, ...]
    against: str = ""
    program: str = ""
    target: float | None = None
    kind: Literal["time", "memory", "server"] = "time"
    variables: Mapping[str, str] = field(default_factory=dict)
    stdin: str = ""
    status: int = 0
    after: tuple[str, ...] = ()
    """A command that undoes the first one, and is not counted."""
    python: Literal["", "bare", "peers"] = ""
    """Which Python runs the program: gradcli's, one without packages, or that of the peers."""

    @property
    def title(self) -> str:
        """What tells the row from the others."""
        return f"{self.name} / {self.against}" if self.against else self.name


GRAD = ("grad", "--fn", "mse", "--x", "1", "--w", "2")
EXPR = ("grad", "mse(w*x, y)", "x=1", "w=2", "y=1")
SMALL = {
    "descend": ("descend", "mse(w*x, y)", "x=1,2,3", "w=0", "y=2,4,6", "--wrt", "w"),
    "flow": ("flow", "--activation", "sigmoid", "--layers", "10"),
    "jacobian": ("jacobian", "sigmoid(W @ x)", "W=1,2;3,4", "x=1,2"),
    "derive": ("derive", *EXPR[1:]),
}
START, STOP = ("server", "start"), ("server", "stop")
SOFTMAX = ("softmax-jacobian", "--x", "@logits.npy", "--out", "ours.npy")
SIGMOID = ("activate", "sigmoid", "--x", "@big.npy", "--out", "ours.npz")
WARM = {"GRADCLI_SERVER": ""}
COMPLETION = {"_GRADCLI_COMPLETE": "bash"}
TORCH, TYPER, LOOP = "the same in PyTorch", "import typer, rich.table", "the bare loop"
JACREV, FUNCTIONAL = "torch.func.jacrev", "torch.autograd.functional.jacobian"


def _empty(name: str, words: tuple[str, ...], target: float, **more: Any) -> Row:
    return Row(name, words, "python -c pass", programs.PASS, target, python="bare", **more)


def _typer(name: str, words: tuple[str, ...], target: float, **more: Any) -> Row:
    return Row(name, words, TYPER, programs.TYPER, target, **more)


def _batch(name: str, processes: str, stdin: str, target: float | None) -> Row:
    return Row(name, ("batch", "--jobs", processes), LOOP, programs.LOOP, target, stdin=stdin)


def _jacobian(name: str, n: int, against: str, call: str, target: float | None) -> Row:
    words = ("jacobian", "sigmoid(W @ x)", f"W=randn({n},{n})", f"x=randn({n})", "--wrt", "x")
    return Row(name, words, against, programs.JACOBIAN.format(n=n, J=call), target)


COLD = Row("cold grad --fn", GRAD, TORCH, programs.MSE, 0.55)
ROWS = [
    Row("server start", START, "a cold call", target=1.0, after=STOP),
    _empty("warm grad", GRAD, 1.5, variables=WARM),
    Row("warm grad", GRAD, TORCH, programs.MSE, 1 / 80, variables=WARM),
    COLD,
    Row("cold grad EXPR", EXPR, TORCH, programs.EXPR, 0.55),
    *(_empty(f"warm {name}", words, 4, variables=WARM) for name, words in SMALL.items()),
    _empty("--version", ("--version",), 1.3),
    _typer("--help", ("--help",), 1.2),
    _typer("grad --help", ("grad", "--help"), 1.2),
    _typer("usage error", ("grad", "--nonsense"), 1.2, status=2),
    _typer("completion", ("grad --fn hu", ""), 0.8, variables=COMPLETION),
    _batch("batch, 20,000 jobs, --jobs 1", "1", "jobs.jsonl", 1.2),
    _batch("batch, 20,000 jobs, --jobs auto", "auto", "jobs.jsonl", 0.8),
    _batch("batch, 5,000 texts, --jobs 1", "1", "texts.jsonl", None),
    Row("softmax-jacobian, n = 4096, time", SOFTMAX, "the closed form", programs.SOFTMAX, 0.6),
    Row("softmax-jacobian, n = 4096, memory", SOFTMAX, "the closed form", programs.SOFTMAX, 0.75, "memory"),
    _jacobian("jacobian, 1000 x 1000", 1000, JACREV, f"{JACREV}(f)(x)", 0.7),
    _jacobian("jacobian, 3 x 3, cold", 3, JACREV, f"{JACREV}(f)(x)", 0.3),
    _jacobian("jacobian, 3 x 3, cold", 3, FUNCTIONAL, f"{FUNCTIONAL}(f, x)", None),
    Row("activate, 10 million, time", SIGMOID, TORCH, programs.SIGMOID, 0.7),
    Row("activate, 10 million, memory", SIGMOID, TORCH, programs.SIGMOID, 1.15, "memory"),
    Row("memory of an idle server, MB", GRAD, target=150, kind="server", variables=WARM),
]  # fmt: skip
PEERS = [
    Row(f"{how} grad", GRAD, tool, program, variables=variables, python="peers")
    for tool, program in programs.PEERS.items()
    for how, variables in (("warm", WARM), ("cold", {}))
]
