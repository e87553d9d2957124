"""Runs `gradcli why --run` on many programs in one process, each in a fork of it.

`python -m tests.watch.together FILE...` imports PyTorch as the programs do, so none of them pays for
that again, and writes a JSON line for each: what the command wrote on stdout, and its exit status.
"""

import gc
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from typing import Any

from tests.program import BASE, ROOT, child

SECONDS = 60


def run_together(files: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The JSON answer of `why --run` for each of these files, with its exit status as `exit`."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.watch.together", *files],
        cwd=ROOT, env={**BASE, "HOME": tempfile.gettempdir()}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return dict(json.loads(line) for line in done.stdout.splitlines())


def _load() -> None:
    """Load what the programs and the command use: the first optimizer takes seconds."""
    import torch

    from gradcli.commands import dispatch, forms  # noqa: F401
    from gradcli.commands.why import compute, show  # noqa: F401

    torch.set_num_threads(1)  # a pool of threads does not survive a fork
    torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1).step()
    gc.freeze()  # a collection in a child would write to every object, and so copy every page


def _run(file: str) -> dict[str, Any]:
    from gradcli.cli import main as program
    from gradcli.process.worker import Progress
    from gradcli.world import World

    def work(arguments: list[str]) -> int:
        return program.run(arguments, World.current(), Progress())

    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        pid = os.fork()
        if pid == 0:
            streams = os.open(os.devnull, os.O_RDONLY), out.fileno(), err.fileno()
            words = ["why", "--run", file, "--json"]
            child(words, streams, os.environ.copy(), None, work, SECONDS)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        out.seek(0)
        err.seek(0)
        answer, said = out.read().decode(), err.read().decode()
    try:
        return {**json.loads(answer), "exit": status}
    except ValueError:
        return {"findings": [], "error": f"{answer}{said}"[-2000:], "exit": status}


if __name__ == "__main__":
    _load()
    for file in sys.argv[1:]:
        print(json.dumps([file, _run(file)]), flush=True)
