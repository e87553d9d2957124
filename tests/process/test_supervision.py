"""The parent of a computation: time limit, crashes, Ctrl-C, closed pipes, and files that are
replaced whole or not at all.

Calls are forked from this process as in `tests.program`, but left running, in a process group of
their own, so that a signal can reach them as it does from a terminal.
"""

import os
import re
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from gradcli.errors import MathError, SizeError, ToldFault
from gradcli.language.source import Source
from gradcli.process.worker import Limits, Progress, cause, run_in_worker
from tests import program
from tests.choice import rare
from tests.program import run
from tests.warm import until

LONG_PRODUCT = [
    "grad",
    "A = rand(3000, 3000) * x; " + "A = A @ A / 1000; " * 40 + "A.sum()",
    "x=1",
    "--timeout",
    "0",
]
"""Minutes of matrix products, each of them a second or more inside PyTorch."""

LONG_SINGLE = ["grad", "(rand(8000, 8000) @ rand(8000, 8000)).sum() * x", "x=1", "--timeout", "0"]
"""One call into PyTorch that takes many seconds on one thread."""


@contextmanager
def running(
    words: Sequence[str], folder: Path, pipe: tuple[int, int] | None = None
) -> Iterator[int]:
    """The process id of a call left running, the leader of a group of its own; killed at the end,
    however it ends.

    It writes into `pipe` where there is one, and this process keeps the reading end alone.
    """
    with (
        open(os.devnull) as given,
        open(folder / "out", "wb") as out,
        open(folder / "err", "wb") as err,
    ):
        pid = program.fork()
        if pid == 0:
            os.setpgid(0, 0)
            if pipe:
                os.close(pipe[0])
            streams = (given.fileno(), pipe[1] if pipe else out.fileno(), err.fileno())
            program.child(list(words), streams, program.BASE, str(folder))
        if pipe:
            os.close(pipe[1])
        try:
            yield pid
        finally:
            with suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)


def group(leader: int) -> list[int]:
    """The living processes of a group; those that have ended and wait to be collected do not
    count.
    """
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with suppress(OSError), open(f"/proc/{pid}/stat") as file:
            state, _, its_leader = file.read().rpartition(")")[2].split()[:3]
            if int(its_leader) == leader and state != "Z":
                found.append(int(pid))
    return found


def busy(leader: int) -> bool:
    """Whether the worker, the second process of the group, has computed for a moment."""
    workers = [pid for pid in group(leader) if pid != leader]
    if not workers:
        return False
    with open(f"/proc/{workers[0]}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return int(fields[11]) > 0.1 * os.sysconf("SC_CLK_TCK")


needs_proc = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


# time


def test_a_computation_that_takes_too_long_is_one_error_that_names_the_place() -> None:
    shown = run("grad", "A = ones(1).expand(9000,9000); (A @ A).sum()*x", "x=1", "--timeout", "0.3")
    assert (shown.status, shown.stdout) == (2, "")
    lines = shown.stderr.splitlines()
    assert lines[0].startswith("error: ")
    assert "0.3 s" in lines[0]
    assert any("--timeout" in line for line in lines)
    caret = next(i for i, line in enumerate(lines) if set(line.strip()) == {"^"})
    column = lines[caret].index("^")
    assert lines[caret - 1][column] == "@"


SLOW_STEP = "A = ones(1).expand(5000,5000); (A @ A).sum()*x**2/1e12"


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["grad", SLOW_STEP, "x=1", "--check", "--expect", "x=2"], "--timeout 0 removes the limit"),
        (["descend", SLOW_STEP, "x=1"], "--timeout bounds one step; 0 removes the limit"),
        (
            ["perceptron", "--train", "@rows.csv", "--activation", "step"],
            "--timeout bounds one epoch; 0 removes the limit",
        ),
    ],
)
def test_what_the_time_limit_bounds_is_told(words: list[str], hint: str, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("0,1,1\n1,0,0\n" * 20_000)
    shown = run(*words, "--timeout", "0.05", cwd=str(tmp_path))
    assert (shown.status, shown.stdout) == (2, "")
    first, *_, last = shown.stderr.splitlines()
    assert first == "error: it ran for more than 0.05 s"
    assert last.strip() == hint


def test_a_time_limit_that_ends_the_showing_says_so_and_blames_no_operation() -> None:
    progress = Progress()
    progress.showing()
    told = cause(progress.end(signal.SIGALRM), Limits(2, Source("x*2")))
    assert isinstance(told, SizeError)
    assert told.message == "showing the result took more than 2 s"
    assert told.span is None


def test_what_takes_too_long_to_show_is_that_error_without_a_place() -> None:
    for form in ("--full", "--csv"):
        shown = run("activate", "relu", "--x", "zeros(9000000)", form, "--timeout", "0.4")
        assert (shown.status, shown.stdout) == (2, "")
        said = r"error: (it ran for|showing the result took) more than 0.4 s\n  --timeout 0 removes the limit\n"
        assert re.fullmatch(
            said, shown.stderr
        )  # on a busy machine the numbers alone take that long


def test_timeout_0_lifts_the_limit_and_a_quick_call_keeps_within_any() -> None:
    assert run("grad", "x**2", "x=3", "--timeout", "0", "--get", "value").stdout == "9.0\n"
    assert run("grad", "x**2", "x=3", "--timeout", "30", "--get", "value").stdout == "9.0\n"


# crashes


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["grad", "2*F.ctc_loss(a.log_softmax(-1), t, n, m)", "a=randn(5,1,3)", "t=tensor([[2,900000000]])", "n=tensor([5])",
          "m=tensor([2])"], "ctc_loss"),
        (["grad", "F.pdist(x).sum()", "x=zeros(0,3)"], "pdist"),
    ],
)  # fmt: skip
def test_a_call_that_would_end_the_process_is_one_error_that_names_it(
    words: list[str], name: str
) -> None:
    shown = run(*words)
    assert (shown.status, shown.stdout) == (2, "")
    assert shown.stderr.startswith("error: ")
    assert name in shown.stderr
    assert len(shown.stderr.splitlines()) <= 7
    assert "Traceback" not in shown.stderr


def test_the_worker_being_killed_is_an_error_and_no_silence(tmp_path: Path) -> None:
    with running(LONG_PRODUCT, tmp_path) as pid:
        assert until(lambda: busy(pid))
        (worker,) = [child for child in group(pid) if child != pid]
        os.kill(worker, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        assert os.waitstatus_to_exitcode(status) == 2
    error = (tmp_path / "err").read_text()
    assert error.startswith("error: ")
    assert "memory" in error
    assert (tmp_path / "out").read_text() == ""


@pytest.mark.parametrize("signum", [signal.SIGSEGV, rare(signal.SIGABRT), rare(signal.SIGFPE)])
@needs_proc
def test_a_crash_inside_pytorch_names_the_place(signum: int, tmp_path: Path) -> None:
    with running(LONG_PRODUCT, tmp_path) as pid:
        assert until(lambda: busy(pid))
        (worker,) = [child for child in group(pid) if child != pid]
        os.kill(worker, signum)
        _, status = os.waitpid(pid, 0)
        assert os.waitstatus_to_exitcode(status) == 2
    lines = (tmp_path / "err").read_text().splitlines()
    assert lines[0].startswith("error: ")
    assert any(set(line.strip()) == {"^"} for line in lines)


@pytest.mark.parametrize(
    "error", [ZeroDivisionError("a slip of ours"), SystemExit("a slip of ours")]
)
def test_a_fault_of_gradclis_own_in_a_worker_is_told_whole(
    error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(progress: Progress) -> int:
        raise error

    monkeypatch.setenv("GRADCLI_DEBUG", "1")
    with pytest.raises(ToldFault) as told:
        run_in_worker(fail, Limits(0))
    assert str(told.value).startswith(
        f"internal error in gradcli ({type(error).__name__}: a slip of ours at test_"
    )
    assert "in fail" in told.value.traceback


def test_a_library_that_ends_a_worker_is_an_error_whatever_its_status() -> None:
    for status in (0, 3):
        with pytest.raises(
            MathError,
            match=rf"a library that PyTorch uses ended the process \(exit status {status}\)",
        ):
            run_in_worker(lambda progress, status=status: os._exit(status), Limits(0))  # type: ignore[misc]


# signals


@needs_proc
@pytest.mark.parametrize("words", [LONG_PRODUCT, LONG_SINGLE], ids=["many", "one"])
def test_ctrl_c_ends_a_long_product_at_once_and_the_call_dies_of_it(
    words: list[str], tmp_path: Path
) -> None:
    with running(words, tmp_path) as pid:
        assert until(lambda: busy(pid))
        start = time.monotonic()
        os.killpg(pid, signal.SIGINT)
        _, status = os.waitpid(pid, 0)
        assert time.monotonic() - start < 1
        assert os.WIFSIGNALED(status)
        assert os.WTERMSIG(status) == signal.SIGINT
        assert until(lambda: not group(pid), 1)
    assert (tmp_path / "out").read_text() == ""
    assert "Traceback" not in (tmp_path / "err").read_text()


@needs_proc
@pytest.mark.parametrize("signum", [signal.SIGINT, rare(signal.SIGTERM), rare(signal.SIGHUP)])
def test_a_signal_to_the_parent_alone_ends_the_worker_too(signum: int, tmp_path: Path) -> None:
    with running(LONG_PRODUCT, tmp_path) as pid:
        assert until(lambda: busy(pid))
        os.kill(pid, signum)
        _, status = os.waitpid(pid, 0)
        assert os.WIFSIGNALED(status)
        assert os.WTERMSIG(status) == signum
        assert until(lambda: not group(pid), 1)


@needs_proc
def test_ctrl_c_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text("old")
    with running([*LONG_PRODUCT, "--out", "r.json"], tmp_path) as pid:
        assert until(lambda: busy(pid))
        os.killpg(pid, signal.SIGINT)
        os.waitpid(pid, 0)
    assert sorted(os.listdir(tmp_path)) == ["err", "out", "r.json"]
    assert (tmp_path / "r.json").read_text() == "old"


@needs_proc
def test_nothing_is_left_running_behind_a_call(tmp_path: Path) -> None:
    for words in (
        ["grad", "x**2", "x=3"],
        ["grad", "q", "x=3"],
        [*LONG_PRODUCT[:3], "--timeout", "0.2"],
    ):
        with running(words, tmp_path) as pid:
            os.waitpid(pid, 0)
            assert until(lambda pid=pid: not group(pid), 1)


# pipes


@pytest.mark.parametrize("form", [["--csv"], rare(["--json"]), rare(["--full"])])
def test_a_closed_pipe_ends_the_call_silently_with_141(form: list[str], tmp_path: Path) -> None:
    reader, writer = os.pipe()
    with running(
        ["activate", "relu", "--x", "arange(1,3000)", *form], tmp_path, (reader, writer)
    ) as pid:
        os.close(reader)
        _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) in (141, -signal.SIGPIPE)
    assert (tmp_path / "err").read_text() == ""


def test_a_reader_that_leaves_half_way_is_no_trouble(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    with running(
        ["activate", "relu", "--x", "arange(1,200000)", "--csv"], tmp_path, (reader, writer)
    ) as pid:
        assert os.read(reader, 14) == b"index,x,relu,d"
        os.close(reader)
        _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) in (141, -signal.SIGPIPE)
    assert (tmp_path / "err").read_text() == ""


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_is_one_error(tmp_path: Path) -> None:
    reader, full = os.open(os.devnull, os.O_RDONLY), os.open("/dev/full", os.O_WRONLY)
    with running(["grad", "x**2", "x=3"], tmp_path, (reader, full)) as pid:
        _, status = os.waitpid(pid, 0)
    os.close(reader)
    assert os.waitstatus_to_exitcode(status) == 2
    assert (tmp_path / "err").read_text().startswith("error: ")


# --out

WORDS = ["grad", "x**2", "x=3", "--out"]


def test_a_failure_leaves_the_old_file_as_it_was(tmp_path: Path) -> None:
    old = tmp_path / "r.json"
    old.write_text("old")
    for words in (
        ["grad", "q*x", "x=3"],
        ["grad", "x @ x", "x=1;2"],
        ["grad", "x*w", "x=1"],
        [*LONG_PRODUCT[:3], "--timeout", "0.2"],
    ):
        assert run(*words, "--out", "r.json", cwd=str(tmp_path)).status == 2
        assert old.read_text() == "old"
        assert os.listdir(tmp_path) == ["r.json"]


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o755])
def test_the_old_mode_stays(mode: int, tmp_path: Path) -> None:
    old = tmp_path / "r.json"
    old.write_text("old")
    old.chmod(mode)
    assert run(*WORDS, "r.json", cwd=str(tmp_path)).status == 0
    assert old.stat().st_mode & 0o777 == mode
    assert '"value":9.0' in old.read_text()


def test_a_new_file_has_the_mode_that_the_umask_gives(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        assert run(*WORDS, "r.json", cwd=str(tmp_path), here=True).status == 0
    finally:
        os.umask(before)
    assert (tmp_path / "r.json").stat().st_mode & 0o777 == 0o640


def test_a_link_keeps_pointing_and_its_target_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "target.json").write_text("old")
    (tmp_path / "r.json").symlink_to("deep/target.json")
    assert run(*WORDS, "r.json", cwd=str(tmp_path)).status == 0
    assert os.readlink(tmp_path / "r.json") == "deep/target.json"
    assert '"value":9.0' in (tmp_path / "deep" / "target.json").read_text()
    assert os.listdir(tmp_path / "deep") == ["target.json"]


def test_a_link_to_nothing_makes_its_target(tmp_path: Path) -> None:
    (tmp_path / "r.json").symlink_to("new.json")
    assert run(*WORDS, "r.json", cwd=str(tmp_path)).status == 0
    assert (tmp_path / "r.json").is_symlink()
    assert '"value":9.0' in (tmp_path / "new.json").read_text()


def make_folder(path: Path) -> None:
    path.mkdir()


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


def make_link_to_folder(path: Path) -> None:
    path.symlink_to(path.parent)


def make_loop(path: Path) -> None:
    path.symlink_to(path.name)


@pytest.mark.parametrize("make", [make_folder, make_pipe, make_link_to_folder, make_loop])
def test_what_is_there_and_no_regular_file_is_refused(make: object, tmp_path: Path) -> None:
    assert callable(make)
    make(tmp_path / "r.json")
    shown = run(*WORDS, "r.json", cwd=str(tmp_path))
    assert (shown.status, shown.stdout) == (2, "")
    assert "r.json" in shown.stderr
    assert os.listdir(tmp_path) == ["r.json"]


@pytest.mark.parametrize("name", ["nowhere/r.json", "r.json/r.json", "n" * 300 + ".json"])
def test_a_path_that_cannot_be_written_is_refused_before_anything_is_computed(
    name: str, tmp_path: Path
) -> None:
    (tmp_path / "r.json").write_text("old")
    shown = run(*LONG_PRODUCT[:3], "--timeout", "20", "--out", name, cwd=str(tmp_path))
    assert (shown.status, shown.stdout) == (2, "")
    assert "--out" in shown.stderr
    assert "20 s" not in shown.stderr
    assert os.listdir(tmp_path) == ["r.json"]


def test_out_may_be_an_input_too(tmp_path: Path) -> None:
    assert run("grad", "(x**2).sum()", "x=1,2", "--out", "x.npy", cwd=str(tmp_path)).status == 0
    assert run("grad", "(x**2).sum()", "x=@x.npy", "--out", "x.npy", cwd=str(tmp_path)).status == 0
    shown = run("grad", "x.sum()", "x=@x.npy", "--get", "inputs.x", cwd=str(tmp_path))
    assert shown.stdout == "[4.0,8.0]\n"
