"""Runs `gradcli why --run` on many programs in one process, each in a fork of it.

`python -m tests.watch.together` imports PyTorch as the programs do, so none of them pays for that
again. It reads names of files in JSON, a line for some, and writes a JSON line for them: for each the
command's answer, its exit status, and what the program printed, watched and by itself.
"""

import gc
import json
import os
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from tests import program
from tests.program import BASE, child, helper, load_all_of_pytorch

SECONDS = 60


def run_together(files: Sequence[str], *, plain: bool = True) -> dict[str, dict[str, Any]]:
    """The JSON answer of `why --run` for each of these files; its exit status as `exit`, what the
    program printed as `printed`, and with `plain` what it prints unwatched.
    """
    if program.CALLS_HERE:
        _load()
        return _answers(plain, files)
    runner = _runner()
    assert runner.stdin
    assert runner.stdout
    try:
        runner.stdin.write(json.dumps([plain, *files]) + "\n")
        runner.stdin.flush()
        return json.loads(runner.stdout.readline())  # type: ignore[no-any-return]
    except BaseException:  # a time limit of pytest's too, as in tests.program
        runner.kill()
        _runner.cache_clear()
        raise


@cache
def _runner() -> "subprocess.Popen[str]":
    """The process that runs the programs of this one."""
    return helper("tests.watch.together", env={**BASE, "HOME": tempfile.gettempdir()}, text=True)


@cache
def _load() -> None:
    """Load what the programs and the command use."""
    load_all_of_pytorch()
    from gradcli.commands import dispatch, forms  # noqa: F401
    from gradcli.commands.why import compute, show  # noqa: F401

    gc.freeze()  # a collection in a child would write to every object, and so copy every page


def _watched(file: str, streams: tuple[int, int, int]) -> None:
    """Be the command. What the program prints goes to stderr."""
    from gradcli.cli import main
    from gradcli.process.worker import Progress
    from gradcli.world import World

    def work(arguments: list[str]) -> int:
        return main.run(arguments, World.current(), Progress())

    child(["why", "--run", file, "--json"], streams, os.environ.copy(), None, work, SECONDS)


def _plain(file: str, streams: tuple[int, int, int]) -> None:
    """Be the program."""
    os.dup2(streams[1], 1)
    os.dup2(streams[2], 2)
    try:
        runpy.run_path(file, run_name="__main__")
    finally:
        sys.stdout.flush()
        os._exit(0)


def _forked(run: Callable[[str, tuple[int, int, int]], None], file: str) -> tuple[str, str, int]:
    """What a fork of this process writes on stdout and stderr, and its exit status."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        pid = os.fork()
        if pid == 0:
            run(file, (os.open(os.devnull, os.O_RDONLY), out.fileno(), err.fileno()))
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        out.seek(0)
        err.seek(0)
        return out.read().decode(), err.read().decode(), status


def _answer(file: str, with_plain: bool) -> dict[str, Any]:
    answer, printed, status = _forked(_watched, file)
    plain = _forked(_plain, file)[0] if with_plain else None
    assert status in (0, 1), f"{file}\n{printed}"
    return {**json.loads(answer), "exit": status, "printed": printed, "plain": plain}


def _answers(with_plain: bool, files: Sequence[str]) -> dict[str, dict[str, Any]]:
    return {file: _answer(file, with_plain) for file in files}


if __name__ == "__main__":
    _load()
    for line in sys.stdin:
        plain, *files = json.loads(line)
        print(json.dumps(_answers(plain, files)), flush=True)
