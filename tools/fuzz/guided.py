"""Fuzzes the parsers with coverage to guide it: atheris keeps what reaches code that nothing before
it has reached.

    python -m tools.fuzz.guided CORPUS [--seconds 600] [--seed 1]

CORPUS is a folder that keeps such inputs, from run to run; their first byte says which parser reads
the rest. It needs atheris (pip install atheris), which is no dependency of the project, and no
PyTorch. It ends with 1 where anything but an error of ours was raised.
"""

import argparse
import os
import sys
from collections.abc import Callable
from hashlib import sha256

from tools.fuzz import corpus, invariants

try:
    import atheris  # type: ignore[import-untyped,unused-ignore]
except ImportError:
    sys.exit(
        "error: coverage is measured by atheris, which is not installed\n  pip install atheris"
    )

with atheris.instrument_imports(include=["gradcli"]):
    from gradcli.cli import report
    from gradcli.commands.activate.request import Activate
    from gradcli.commands.descend import setting
    from gradcli.commands.descend.request import Descend
    from gradcli.commands.grad.request import Grad
    from gradcli.commands.loss.request import Loss
    from gradcli.commands.why.request import Why
    from gradcli.errors import GradcliError
    from gradcli.language import calls
    from gradcli.language.expressions import expression
    from gradcli.language.literals import literal
    from gradcli.language.source import Source
    from gradcli.options import expectation, inputs
    from gradcli.options.fill import from_json
    from gradcli.world import World

import json


def _job(text: str) -> object:
    try:
        job = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(job, dict):
        return None
    kinds = {"grad": Grad, "loss": Loss, "activate": Activate, "descend": Descend}
    return from_json(kinds.get(str(job.pop("command", "")), Grad), job)


READERS: dict[str, Callable[[str], object]] = {
    "l": lambda text: literal.parse(Source(text, "x")),
    "s": lambda text: literal.parse_stream(Source(text, "standard input")),
    "e": lambda text: expression.parse(Source(text), ("x", "y", "A", "t", "s")),
    "n": lambda text: calls.parse_call(Source(text, "NAME")),
    "w": lambda text: Why(words=(text,)).find(str),
    "x": lambda text: expectation.read(Source(text, "--expect")),
    "i": lambda text: inputs.read_inputs([Source(word) for word in text.split("\0")]),
    "o": lambda text: setting.read(Source(text, "--set")),
    "j": _job,
}
"""The parsers by the first byte of an input."""

SEEDS = {
    "n": ["huber(delta=2)", "ce(weight=[1,2])"],
    "w": ["RuntimeError: grad can be implicitly created only for scalar outputs"],
    "x": ["w=2", "gradients.w.0=1"],
    "i": ["x=1\0y=2", "x\0=\x001"],
    "o": ["betas=0.9,0.99", "nesterov=true"],
    "j": [
        '{"command": "loss", "names": ["mse"], "pred": [1, 2], "target": "1,2", "expect": ["value=1"]}'
    ],
}

_WORLD = World.current()
_found: set[str] = set()


def one(given: bytes) -> None:
    """Let a parser read one input, and print what should not have been raised, each kind once."""
    if not given or (read := READERS.get(chr(given[0]))) is None:
        return
    text = given[1:].decode("utf-8", "surrogateescape")
    try:
        read(text)
    except GradcliError as error:
        complaint = invariants.of_error(report.draw(error, _WORLD), text)
    except Exception as error:
        complaint = f"raises {type(error).__name__}: {str(error)[:80]}"
    else:
        return
    if complaint and complaint not in _found:
        _found.add(complaint)
        print(f"FOUND: {complaint}\n    {given!r}", flush=True)


def _sow(folder: str) -> None:
    """Write the inputs to begin with."""
    os.makedirs(folder, exist_ok=True)
    seeds = {"e": corpus.hostile(), "l": corpus.malformed(), "s": corpus.malformed(), **SEEDS}
    for kind, texts in seeds.items():
        for text in texts:
            content = (kind + text).encode("utf-8", "surrogatepass")
            with open(os.path.join(folder, sha256(content).hexdigest()[:16]), "wb") as file:
                file.write(content)


def main() -> None:
    parser = argparse.ArgumentParser(description="fuzzes the parsers, guided by coverage")
    parser.add_argument("corpus")
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    _sow(asked.corpus)
    options = [
        f"-max_total_time={asked.seconds}",
        f"-seed={asked.seed}",
        "-timeout=10",
        "-max_len=4096",
        "-rss_limit_mb=4096",
    ]
    atheris.Setup([sys.argv[0], *options, asked.corpus], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
