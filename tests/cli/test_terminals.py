"""Terminals, signals and surroundings: keys that interrupt and stop, streams that are gone, limits
of the system.

What a table looks like on a terminal is in `test_output`, the worker and its parent in
`test_supervision`, the server in `test_warm`. `python -m tools.surroundings` tries what needs a
shell, the superuser, or a fresh Python for each case.
"""

import contextlib
import dataclasses
import fcntl
import os
import pty
import random
import select
import signal
import socket
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from gradcli.cli import progress
from gradcli.language.limits import Limit
from gradcli.world import World
from tests import program
from tests.choice import first_usual, in_rows, rare
from tests.process.test_supervision import (
    LONG_PRODUCT,
    LONG_SINGLE,
    busy,
    group,
    needs_proc,
    running,
)
from tests.program import BASE, ROOT, cold, run
from tests.warm import on_a_terminal, until

resource = pytest.importorskip("resource")

JOBS = '{"command": "grad", "expression": "(x**2).sum()", "inputs": {"x": [1, 2]}}\n' * 3000
MANY = ["activate", "relu", "--x", "ones(400000)"]
QUICK = ["grad", "x**2", "x=3"]


class Keyboard:
    """A call on a terminal of its own, which it controls: what is typed there reaches it as a
    user's keys do.
    """

    def __init__(self, words: Sequence[str], folder: Path, **env: str) -> None:
        self.fd, theirs = pty.openpty()
        self.modes = termios.tcgetattr(theirs)
        self.pid = program.fork()
        if self.pid == 0:
            os.close(self.fd)
            os.setsid()
            fcntl.ioctl(theirs, termios.TIOCSCTTY, 0)
            program.child(
                list(words), (theirs, theirs, theirs), {**BASE, "TERM": "xterm", **env}, str(folder)
            )
        self._theirs = theirs  # kept open, so that the terminal outlives the call
        self.shown = b""

    def type(self, keys: bytes) -> None:
        os.write(self.fd, keys)

    def read(self) -> bytes:
        """All that was shown up to now."""
        while select.select([self.fd], [], [], 0)[0]:
            self.shown += os.read(self.fd, 1 << 16)
        return self.shown

    def end(self) -> int:
        """The exit status; minus the number of a signal."""
        found: list[int] = []

        def ended() -> bool:
            self.read()
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                found.append(os.waitstatus_to_exitcode(status))
            return bool(pid)

        assert until(ended)
        self.read()
        return found[0]


def test_loading_is_shown_on_a_terminal_after_a_while_and_removed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read, theirs = pty.openpty()
    with open(theirs, "w", encoding="utf-8") as stderr:
        world = dataclasses.replace(World.current(), stderr=stderr)
        monkeypatch.delitem(sys.modules, "torch")
        monkeypatch.setattr(progress, "SILENCE", 0.0)
        with progress.Loading(world, quiet=False):
            shown = os.read(read, 100)
        gone = os.read(read, 100)
        with progress.Loading(world, quiet=True):
            pass
        monkeypatch.setattr(progress, "SILENCE", 60.0)
        with progress.Loading(world, quiet=False):
            pass
        assert not select.select([read], [], [], 0)[0], (
            "nothing with --quiet, nothing where it does not take long"
        )
    assert shown == b"loading PyTorch ..."
    assert gone == b"\r" + b" " * len(shown) + b"\r"


@contextlib.contextmanager
def keyboard(words: Sequence[str], folder: Path, **env: str) -> Iterator[Keyboard]:
    """A call at a keyboard; nothing of it is left, and the terminal is as it was."""
    call = Keyboard(words, folder, **env)
    try:
        yield call
        assert until(lambda: not group(call.pid), 5)
        assert termios.tcgetattr(call._theirs) == call.modes
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(call.pid, signal.SIGKILL)
        os.close(call.fd)
        os.close(call._theirs)


# keys


def computing(call: Keyboard) -> object:
    return busy(call.pid)


def showing(call: Keyboard) -> object:
    return select.select([call.fd], [], [], 0)[0]


MOMENTS: dict[str, tuple[list[str], Callable[[Keyboard], object]]] = {
    "one long operation": (LONG_SINGLE, computing),
    "many operations": (LONG_PRODUCT, computing),
    "a file to come": ([*LONG_PRODUCT, "--out", "r.json"], computing),
    "a file being written": (
        ["activate", "relu", "--x", "randn(9000000)", "--out", "r.json"],
        computing,
    ),
    "output that nobody reads": ([*MANY, "--csv"], showing),
    "JSON that nobody reads": ([*MANY, "--json"], showing),
    "standard input awaited": (["activate", "relu", "--x", "-"], showing),
    "a batch": (["batch", "jobs.jsonl"], showing),
    "a batch of several": (["batch", "jobs.jsonl", "--jobs", "2", "--quiet"], showing),
    "a descent": (
        ["descend", "(x**2).sum()", "x=1,2", "--steps", "1000000", "--lr", "1e-9", "--csv"],
        computing,
    ),
    "a training": (
        ["perceptron", "--train", "xor", "--activation", "step", "--epochs", "1000000"],
        computing,
    ),
}


@needs_proc
@pytest.mark.parametrize("moment", first_usual(MOMENTS, in_rows(2, MOMENTS)))
def test_ctrl_c_at_any_moment_leaves_nothing_behind(moment: str, tmp_path: Path) -> None:
    words, ready = MOMENTS[moment]
    (tmp_path / "jobs.jsonl").write_text(JOBS)
    (tmp_path / "r.json").write_text("old")
    with keyboard(words, tmp_path) as call:
        assert until(lambda: ready(call))
        call.type(b"\x03")
        assert call.end() == -signal.SIGINT
        assert b"Traceback" not in call.shown
    assert sorted(os.listdir(tmp_path)) == ["jobs.jsonl", "r.json"]
    assert (tmp_path / "r.json").read_text() == "old"


@needs_proc
@pytest.mark.parametrize("signum", [signal.SIGQUIT, rare(signal.SIGTERM), rare(signal.SIGHUP)])
def test_the_other_signals_that_end_a_program_clean_up_too(signum: int, tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text("old")
    limits = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, limits[1]))
    try:
        with keyboard([*LONG_PRODUCT, "--out", "r.json"], tmp_path) as call:
            assert until(lambda: computing(call))
            os.killpg(call.pid, signum)
            assert call.end() == -signum
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, limits)
    assert os.listdir(tmp_path) == ["r.json"]


def test_an_end_at_any_instant_leaves_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    """From before the temporary file is made to after it was renamed: a signal never finds a moment
    to leave it there.
    """
    moments = random.Random(0)
    for _ in range(8):
        (tmp_path / "r.json").write_text("old")
        with running([*QUICK, "--out", "r.json"], tmp_path) as pid:
            time.sleep(moments.random() * 0.06)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
            _, status = os.waitpid(pid, 0)
        assert os.waitstatus_to_exitcode(status) in (0, -signal.SIGTERM)
        assert sorted(os.listdir(tmp_path)) == ["err", "out", "r.json"]
        assert (tmp_path / "r.json").read_text() == "old" or '"value":9.0' in (
            tmp_path / "r.json"
        ).read_text()


@needs_proc
@pytest.mark.parametrize("more", [[], rare(["--out", "r.csv"])])
def test_a_call_stops_and_goes_on(more: list[str], tmp_path: Path) -> None:
    def states() -> set[str]:
        return {
            Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()[0]
            for each in group(pid)
        }

    with running(
        ["activate", "relu", "--x", "linspace(0,1,400000)", *(more or ["--csv"])], tmp_path
    ) as pid:
        assert until(lambda: len(group(pid)) == 2)
        os.killpg(pid, signal.SIGTSTP)
        assert until(lambda: states() == {"T"}, 5)
        os.killpg(pid, signal.SIGCONT)
        _, status = os.waitpid(pid, 0)
        assert os.waitstatus_to_exitcode(status) == 0
    lines = (tmp_path / ("r.csv" if more else "out")).read_bytes().splitlines()
    assert len(lines) == 400_001
    assert lines[-1] == b"399999,1.0,1.0,1.0"


@needs_proc
def test_a_parent_that_is_killed_takes_its_worker_along(tmp_path: Path) -> None:
    """Else whoever reads the call's output, such as subprocess.run with a timeout, would wait for
    the worker's end.
    """
    with running(LONG_SINGLE, tmp_path) as pid:
        assert until(lambda: busy(pid))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        assert until(lambda: not group(pid), 5)


# pipes


FORMS = [
    ["--help"],
    ["grad", "--help"],
    ["functions"],
    ["why"],
    ["why", "no-grad"],
    ["completion", "bash"],
    ["server", "status"],
    [*QUICK, "--code"],
    [*QUICK, "--graph", "dot"],
    [*QUICK, "--get", "value"],
    ["plot", "sigmoid"],
    ["batch", "jobs.jsonl"],
]


@pytest.mark.parametrize("words", [*FORMS[1::2], *map(rare, FORMS[::2])], ids=" ".join)
def test_whatever_is_written_a_closed_pipe_is_met_silently(
    words: list[str], tmp_path: Path
) -> None:
    (tmp_path / "jobs.jsonl").write_text(JOBS[:2000])
    reader, writer = os.pipe()
    os.dup2(null := os.open(os.devnull, os.O_RDONLY), reader)  # which closes the pipe's reading end
    os.close(null)
    with running(words, tmp_path, (reader, writer)) as pid:
        os.close(reader)
        _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) in (141, -signal.SIGPIPE)
    assert (tmp_path / "err").read_text() == ""


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.parametrize("words", [*FORMS[::2], *map(rare, FORMS[1::2])], ids=" ".join)
def test_whatever_is_written_a_full_disk_is_one_error(words: list[str], tmp_path: Path) -> None:
    (tmp_path / "jobs.jsonl").write_text(JOBS[:2000])
    reader, full = os.open(os.devnull, os.O_RDONLY), os.open("/dev/full", os.O_WRONLY)
    with running(words, tmp_path, (reader, full)) as pid:
        os.close(reader)
        _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 2
    assert (
        (tmp_path / "err")
        .read_text()
        .startswith("error: standard output cannot be written: no space left")
    )


@pytest.mark.parametrize(
    ("streams", "status", "said"),
    [
        (">&-", 0, ""),
        ("<&- >&- 2>&-", 0, ""),
        (">/dev/full", 2, "error: standard output cannot be written: no space left on device\n"),
        (">/dev/full 2>/dev/full", 2, ""),
        ("| true; exit ${PIPESTATUS[0]}", 141, ""),
    ],
)
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_the_version_meets_them_too(streams: str, status: int, said: str, unbuffered: str) -> None:
    script = f"{sys.executable} -m gradcli --version {streams}"
    env = {**BASE, "PYTHONPATH": ROOT, "PYTHONUNBUFFERED": unbuffered}
    done = subprocess.run(
        ["bash", "-c", script], env=env, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (status, "", said)


# --out


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as there:
        there.bind(path.name)


@pytest.mark.parametrize("make", [make_socket, lambda path: path.symlink_to("/dev/null")])
def test_no_device_and_no_socket_is_written(
    make: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make(tmp_path / "r.json")
    ran = run(*QUICK, "--out", "r.json")
    assert (ran.status, ran.stdout) == (2, "")
    assert ran.stderr.startswith("error: --out: 'r.json' ")
    assert os.listdir() == ["r.json"]


@pytest.mark.parametrize(
    "name", ["two\nlines.json", "no text \udcff.json", "n" * 240 + ".json", "\u4e2d.json"]
)
def test_any_name_that_the_system_takes_is_a_name(name: str, tmp_path: Path) -> None:
    ran = run(*QUICK, "--out", name, cwd=str(tmp_path), env={"PYTHONIOENCODING": "ascii"})
    assert ran.status == 0
    assert ran.stdout.startswith("wrote ")
    assert os.listdir(tmp_path) == [name]


@pytest.mark.parametrize("suffix", ["json", "csv", "npy", "npz"])
def test_a_file_that_may_grow_no_more_is_one_error(suffix: str, tmp_path: Path) -> None:
    old = tmp_path / f"r.{suffix}"
    old.write_text("old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        ran = run(
            "activate",
            "relu",
            "--x",
            "ones(10000)",
            "--out",
            old.name,
            cwd=str(tmp_path),
            here=True,
        )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (ran.status, ran.stdout) == (2, "")
    assert ran.stderr.startswith(f"error: --out: 'r.{suffix}' cannot be written: ")
    assert ran.stderr.splitlines()[0][-1] != " "
    assert os.listdir(tmp_path) == [old.name]
    assert old.read_text() == "old"


def test_a_umask_that_forbids_everything_is_kept(tmp_path: Path) -> None:
    before = os.umask(0o777)
    try:
        assert run(*QUICK, "--out", "r.json", cwd=str(tmp_path), here=True).status == 0
    finally:
        os.umask(before)
    assert (tmp_path / "r.json").stat().st_mode & 0o777 == 0


# surroundings


@pytest.mark.exhaustive
def test_in_a_folder_that_is_gone_all_but_its_files_works(tmp_path: Path) -> None:
    """PyTorch alone cannot be loaded there: MKL ends the process."""
    gone = tmp_path / "gone"
    script = f'cd "{gone}"; rmdir "{gone}"; for more in "--get value" "--out r.json"; do '
    script += f"{sys.executable} -m gradcli grad 'x**2' x=3 $more; echo $?; done"
    gone.mkdir()
    env = {**BASE, "PYTHONPATH": ROOT}
    done = subprocess.run(
        ["bash", "-c", script], env=env, capture_output=True, text=True, check=False
    )
    assert done.stdout == "9.0\n0\n2\n"
    assert done.stderr.startswith(
        "error: --out: 'r.json' cannot be written: no such file or directory"
    )


def test_a_library_that_ends_the_process_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """As OpenBLAS does with status 1 where it gets no memory, which would mean that a check
    failed.
    """
    monkeypatch.setattr("gradcli.cli.main._load_pytorch", lambda **how: os._exit(1))
    ran = run(*QUICK, whole=True, here=True)
    assert (ran.status, ran.stdout) == (2, "")
    assert ran.stderr.startswith(
        "error: a library that PyTorch uses ended the process (exit status 1)"
    )


def test_a_pytorch_that_cannot_be_loaded_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "gradcli.commands.dispatch")
    ran = run(*QUICK, here=True)
    assert (ran.status, ran.stdout) == (2, "")
    assert ran.stderr.startswith("error: PyTorch cannot be loaded: ")


@needs_proc
def test_too_few_descriptors_are_an_error() -> None:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken = set(map(int, os.listdir("/proc/self/fd")))
    free = [number for number in range(len(taken) + 21) if number not in taken]
    resource.setrlimit(resource.RLIMIT_NOFILE, (free[20], limits[1]))
    try:
        ran = run("batch", "--jobs", "16", stdin=JOBS[:100], here=True)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert (ran.status, ran.stdout) == (2, "")
    assert (
        ran.stderr
        == "error: the system refused: too many open files\n  ulimit -n shows the limit\n"
    )


@pytest.mark.parametrize("words", [["grad", "x.sum()", "x=-"], ["grad", "-", "x=1"], ["why"]])
def test_standard_input_without_an_end_is_read_no_further(
    words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gradcli.world.LITERAL_TEXT", Limit(1000, "characters", "a test"))
    ran = run(*words, stdin="1\n" * 1000, here=True)
    assert (ran.status, ran.stdout) == (2, "")
    assert ran.stderr.startswith(
        "error: standard input: 1,001 characters, but at most 1,000 are allowed"
    )


@pytest.mark.exhaustive
def test_warnings_as_errors_and_no_home_change_nothing() -> None:
    odd = cold(
        "grad",
        "x.T.sum()",
        "x=ones(2,3,2)",
        "--json",
        env={"PYTHONWARNINGS": "error", "HOME": "/nonexistent"},
    )
    assert odd == run("grad", "x.T.sum()", "x=ones(2,3,2)", "--json")


def test_a_note_is_broken_between_words_on_a_narrow_terminal_alone(tmp_path: Path) -> None:
    words = ("loss", "mse", "--pred", "1,2", "--target", "0;1")
    note = run(*words, env={"COLUMNS": "33"}).stderr
    assert note.count("\n") == 1
    shown, _ = on_a_terminal(words, 33, {**BASE, "TERM": "dumb"}, str(tmp_path), fork=True)
    text = shown.decode().partition("note:")[2].partition("[broadcast]")[0]
    lines = f"note:{text}[broadcast]".splitlines()
    assert max(map(len, lines)) <= 33
    assert " ".join(lines) == note.strip()
