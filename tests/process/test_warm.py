"""The warm start: the same bytes as a cold call, the same signals, nothing left behind, and cold
where it cannot be.
"""

import contextlib
import dataclasses
import json
import marshal
import os
import pty
import resource
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from gradcli.cli import successor
from gradcli.process import server as process_server
from gradcli.process import server_worker, wire
from gradcli.process.sources import Watched
from gradcli.process.worker import Progress
from gradcli.world import World
from tests import program
from tests.choice import Choose, first_usual, in_rows, rare
from tests.program import ROOT, Ran
from tests.warm import SURROUNDINGS, Server, on_a_terminal, until

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")

MSE = ("grad", "--fn", "mse", "--x", "1", "--w", "2")
QUICK = ("grad", "2x", "x=1")
"""A call that loads no PyTorch."""
LONG = (
    "grad",
    "A = rand(3000, 3000) * x; " + "A = A @ A / 1000; " * 40 + "A.sum()",
    "x=1",
    "--timeout",
    "0",
)
"""Minutes of matrix products."""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as started:
        yield started


@pytest.fixture(autouse=True)
def nothing_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test that fails leaves no call running."""
    yield
    if "server" in request.fixturenames:
        request.getfixturevalue("server").end_calls()


CASES: list[tuple[tuple[str, ...], str]] = [
    (MSE, ""),
    ((*MSE, "--json"), ""),
    ((*MSE, "--csv"), ""),
    ((*MSE, "--code"), ""),
    ((*MSE, "--explain", "--check"), ""),
    ((*MSE, "--expect", "w=4"), ""),
    ((*MSE, "--graph", "tree"), ""),
    (QUICK, ""),
    ((*MSE, "--nonsense"), ""),
    (("grad", "A @ x", "A=1,2;3,4", "x=1,2,3"), ""),
    (("grad", "x", "x=1,2"), ""),
    (("activate", "sigmoid", "tanh", "relu", "--x", "-"), "-100\n0\n100\n"),
    (("grad", "-", "x=2"), "x**3"),
    (("activate", "relu", "--x", "@no.npy"), ""),
    (("grad", "randn(3).sum()*x", "x=rand(1)", "--seed", "3"), ""),
    (("activate", "sigmoid", "--x", "linspace(-5,5,2000)"), ""),
    (("loss", "mse", "--pred", "ones(3)", "--target", "zeros(3,1)"), ""),
    (("softmax-jacobian", "2,1,0.1", "--explain"), ""),
    (("jacobian", "W @ x", "W=1,2;3,4", "x=1,1"), ""),
    (("hessian", "x**2 - y**2", "x=0", "y=0"), ""),
    (("perceptron", "--train", "xor", "--activation", "step"), ""),
    (("functions", "relu"), ""),
    (("why", "no-grad"), ""),
    (("why",), ""),
    (
        ("why",),
        "RuntimeError: element 0 of tensors does not require grad and does not have a grad_fn\n",
    ),
    (("--help",), ""),
    (("batch",), '{"command": "grad", "fn": "mse", "x": 1, "w": 2}\nno json\n'),
    (("grad", "--help"), ""),
    (("grda",), ""),
    ((), ""),
]


@pytest.mark.parametrize(
    "case", first_usual(CASES, in_rows(2, CASES)), ids=lambda case: " ".join(case[0])[:50]
)
def test_a_warm_call_is_a_cold_call_byte_for_byte(
    case: tuple[tuple[str, ...], str], server: Server, choose: Choose[dict[str, str]]
) -> None:
    """In a pipe, against the whole program run in a process forked from the tests' own: without
    variables, and in other surroundings for each call.
    """
    words, stdin = case
    others = [*SURROUNDINGS[1:], {"COLUMNS": "30"}]
    first = zlib.crc32(" ".join(words).encode()) % len(others)
    for more in choose([{}, *others[first:], *others[:first]], bool):
        env = {**server.env, **more}
        cold = program.run(*words, stdin=stdin, env=env)
        assert server.run(*words, stdin=stdin, env=more) == cold


ASKED = [words for words, stdin in CASES if not stdin and words != ("why",)]
TERMINALS = [(columns, more) for columns in (40, 80, 200) for more in SURROUNDINGS]


@pytest.mark.parametrize("words", first_usual(ASKED, in_rows(3, ASKED)), ids=" ".join)
def test_a_terminal_sees_the_same(words: tuple[str, ...], server: Server) -> None:
    """On one width and surroundings for each command; `python -m tools.soak equality` goes through
    all of them.
    """
    columns, more = TERMINALS[zlib.crc32(" ".join(words).encode()) % len(TERMINALS)]
    env = {**server.env, "TERM": "xterm-256color", **more}
    if not env["PYTHONIOENCODING"]:
        del env["PYTHONIOENCODING"]
    warm = on_a_terminal(words, columns, env, server.folder)
    assert warm == on_a_terminal(words, columns, env, server.folder, fork=True)


def test_calls_really_are_warm(server: Server) -> None:
    assert server.served(lambda: server.run(*MSE)) == 1
    assert server.served(lambda: server.run(*QUICK, env={"GRADCLI_SERVER": "off"})) == 0
    assert server.served(lambda: server.run("--version")) == 0


# --- what a call takes with it ------------------------------------------------------------------


def test_folder_umask_variables_and_arguments_are_the_callers(
    server: Server, tmp_path: Path
) -> None:
    (tmp_path / "x.csv").write_text("1,2\n")
    done = server.run(
        "activate", "relu", "--x", "@x.csv", "--get", "functions.0.value", cwd=str(tmp_path)
    )
    assert done == Ran("[1.0,2.0]\n", "", 0)
    done = server.run(
        "activate", "relu", "--x", "@~/x.csv", "--get", "inputs.x", env={"HOME": str(tmp_path)}
    )
    assert done == Ran("[1.0,2.0]\n", "", 0)
    before = os.umask(0o077)
    try:
        assert server.run(*MSE, "--out", "mine.json", cwd=str(tmp_path)).status == 0
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "mine.json").stat().st_mode) == 0o600
    odd = server.run("grad", "x\udcff", "x=1")
    assert odd.status == 2
    assert odd == server.run("grad", "x\udcff", "x=1", env={"GRADCLI_SERVER": "off"})


def in_a_shell(server: Server, words: str, before: str = "") -> tuple[str, int]:
    """What a call of the server's user prints, made by bash after other words, and how many calls
    the server took for it.
    """
    printed: list[str] = []

    def run() -> None:
        script = f"{before} {sys.executable} -m gradcli {words}"
        done = subprocess.run(
            ["bash", "-c", script], env=server.env, capture_output=True, text=True, check=False
        )
        printed.append(done.stdout + done.stderr)

    taken = server.served(run)
    return printed[0], taken


CALL = "activate relu --x 1 --json 2>&1 | cut -d, -f1"
WRONG = "activate relu --x 1,,2 --json 2>&1 | cut -d: -f1 | head -1"
JOB = """'{"command": "activate", "names": "relu", "x": 1}'"""


@pytest.mark.parametrize(
    ("words", "before", "taken"),
    [
        rare(f"batch <(echo {JOB}) | cut -d, -f1", "", 0),
        rare(f"batch /dev/fd/3 3< <(echo {JOB}) | cut -d, -f1", "", 0),
        ("batch /dev/stdin | cut -d, -f1", f"echo {JOB} |", 1),
        (WRONG, "ulimit -t 1000;", 0),
        rare(WRONG, "ulimit -Sn 100;", 0),
        (CALL, "ulimit -Sn 300;", 1),
        (WRONG, "chrt --idle 0", 0),
        rare(CALL, "ulimit -t 1000;", 0),
        rare(CALL, "ulimit -Sn 100;", 0),
        rare(CALL, "chrt --idle 0", 0),
    ],
)
def test_what_a_worker_cannot_take_over_runs_cold(
    words: str, before: str, taken: int, server: Server
) -> None:
    """Descriptors that the shell has opened, and bounds against which loading PyTorch would have
    counted.
    """
    shown = "error\n" if words == WRONG else '{"command":"activate"\n'
    assert in_a_shell(server, words, before) == (shown, taken)


def test_niceness_and_bounds_of_open_files_are_the_callers(server: Server) -> None:
    def bounded() -> None:
        os.nice(7)
        resource.setrlimit(resource.RLIMIT_NOFILE, (300, 400))

    call = server.start(*LONG, preexec_fn=bounded)
    worker = working(server, call)
    assert os.getpriority(os.PRIO_PROCESS, worker) == os.getpriority(os.PRIO_PROCESS, 0) + 7
    assert resource.prlimit(worker, resource.RLIMIT_NOFILE) == (300, 400)


def test_a_folder_that_is_gone_is_still_the_callers(server: Server, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    script = f'cd "{gone}"; rmdir "{gone}"; exec {sys.executable} -m gradcli grad --fn mse --x 1 --w 2 --get value'
    shown = subprocess.run(
        ["sh", "-c", script], env=server.env, capture_output=True, text=True, check=False
    )
    assert (shown.stdout, shown.returncode) == ("1.0\n", 0)


@pytest.mark.parametrize(
    ("redirection", "words"),
    [
        ("<&-", "activate relu --x -"),
        rare(">&-", " ".join(MSE)),
        rare("2>&-", "loss mse --pred 1,2 --target 1"),
        rare("<&- >&- 2>&-", " ".join(MSE)),
        rare(">/dev/full", " ".join(MSE)),
        (">/dev/full", "functions relu"),
        rare("2>/dev/full", "loss mse --pred 1,2 --target 1"),
        ("2>/dev/full", "grad 2x x=1"),
    ],
)
def test_streams_that_are_closed_or_full(redirection: str, words: str, server: Server) -> None:
    script = f"{sys.executable} -m gradcli {words} {redirection}"
    warm, cold = (
        subprocess.run(
            ["bash", "-c", script],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=env,
            check=False,
        )
        for env in (server.env, {**server.env, "GRADCLI_SERVER": "off"})
    )
    assert (warm.stdout, warm.stderr, warm.returncode) == (
        cold.stdout,
        cold.stderr,
        cold.returncode,
    )


def test_a_reader_that_leaves_is_no_error(server: Server) -> None:
    script = f"set -o pipefail; {sys.executable} -m gradcli activate relu --x 'ones(300000)' --csv | head -1"
    done = subprocess.run(
        ["bash", "-c", script], capture_output=True, env=server.env, cwd=server.folder, check=False
    )
    assert (done.stdout, done.stderr, done.returncode) == (b"index,x,relu,d_relu\n", b"", 141)


def test_a_pipe_that_waits_is_answered_line_by_line(server: Server) -> None:
    call = server.start("batch", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert call.stdin
    assert call.stdout
    for number in range(3):
        call.stdin.write(b'{"id": %d, "command": "activate", "names": "relu", "x": 1}\n' % number)
        call.stdin.flush()
        assert json.loads(call.stdout.readline())["id"] == number
    with call:
        call.stdin.close()
        assert call.stdout.read() == b""
    assert call.wait(20) == 0


# --- signals ------------------------------------------------------------------------------------


def working(server: Server, call: "subprocess.Popen[bytes]", client: int = 0) -> int:
    """The process number of the worker of a call that has computed for a moment."""
    found: list[int] = []
    leader = server.status["pid"]

    def busy() -> bool:
        for pid in set(server.processes()) - {client or call.pid, leader}:
            with contextlib.suppress(OSError):
                fields = (
                    Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
                )
                if int(fields[11]) > 0.1 * os.sysconf("SC_CLK_TCK"):
                    found.append(pid)
        return bool(found)

    assert until(busy)
    return found[0]


def gone(pid: int) -> bool:
    """Whether a process has ended."""
    try:
        return " Z " in Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):  # before it was opened, or while it was read
        return True


@pytest.mark.parametrize(
    "signum", [signal.SIGINT, rare(signal.SIGTERM), rare(signal.SIGHUP), signal.SIGKILL]
)
def test_a_signal_ends_the_call_and_its_worker(signum: signal.Signals, server: Server) -> None:
    call = server.start(*LONG, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    worker = working(server, call)
    call.send_signal(signum)
    out, err = call.communicate(timeout=10)
    assert (out, err, call.returncode) == (b"", b"", -signum)
    assert until(lambda: gone(worker), 5)


def test_ctrl_c_ends_a_batch_with_whole_lines_and_all_its_processes(server: Server) -> None:
    call = server.start("batch", "--jobs", "2", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert call.stdin
    assert call.stdout
    job = b'{"command": "activate", "names": "relu", "x": 1}\n'
    call.stdin.write(job * 500)
    call.stdin.flush()
    first = call.stdout.readline()
    call.send_signal(signal.SIGINT)
    with call:
        rest = call.stdout.read()
    assert call.wait(10) == -signal.SIGINT
    assert all(json.loads(line) for line in (first + rest).splitlines())
    assert (first + rest).endswith(b"\n")
    assert until(
        lambda: len(server.processes()) == 1 + process_server.SPARES, 5
    )  # the server and the worker that waits for the next call


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGKILL])
def test_a_file_that_was_being_written_is_not_left_half(
    signum: signal.Signals, server: Server, tmp_path: Path
) -> None:
    (tmp_path / "a.json").write_text("old")
    call = server.start(*LONG, "--out", "a.json", cwd=tmp_path)
    working(server, call)
    call.send_signal(signum)
    assert call.wait(10) == -signum
    assert until(lambda: os.listdir(tmp_path) == ["a.json"], 5)
    assert (tmp_path / "a.json").read_text() == "old"


def test_a_call_stops_and_goes_on_with_its_worker(server: Server) -> None:
    call = server.start(*LONG)
    worker = working(server, call)

    def state(pid: int) -> str:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]

    call.send_signal(signal.SIGTSTP)
    assert until(lambda: (state(call.pid), state(worker)) == ("T", "T"), 5)
    call.send_signal(signal.SIGCONT)
    assert until(lambda: "T" not in (state(call.pid), state(worker)), 5)
    call.kill()
    call.wait(5)


def test_an_ignored_interrupt_stays_ignored(server: Server) -> None:
    script = f"trap '' INT; {sys.executable} -m gradcli {LONG[0]} '{LONG[1]}' x=1 --timeout 0 & echo $!; wait"
    shell = subprocess.Popen(
        ["sh", "-c", script], env=server.env, stdout=subprocess.PIPE, cwd=server.folder
    )
    assert shell.stdout
    pid = int(shell.stdout.readline())
    worker = working(server, shell, pid)
    os.kill(pid, signal.SIGINT)
    time.sleep(0.3)
    assert not gone(pid)
    assert not gone(worker)
    os.kill(pid, signal.SIGKILL)
    shell.communicate(timeout=5)
    assert until(lambda: gone(worker), 5)


# --- what a worker dies of ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        ("grad", "torch.linalg.lstsq(A, ones(2, 0), driver='gelss').solution.sum()", "A=1,2;3,4"),
        ("grad", "A = ones(1).expand(9000,9000); (A @ A).sum()*x", "x=1", "--timeout", "0.4"),
        ("grad", "x*rand(60000,60000).sum()", "x=1"),
    ],
)
def test_crashes_and_limits_are_the_same_errors(words: tuple[str, ...], server: Server) -> None:
    warm = server.run(*words)
    assert warm == program.run(*words)
    assert warm.status == 2
    assert warm.stderr.startswith("error:")


def test_a_worker_that_is_killed_is_an_error_with_its_place(server: Server) -> None:
    call = server.start(*LONG, stderr=subprocess.PIPE)
    os.kill(working(server, call), signal.SIGKILL)
    _, said = call.communicate(timeout=10)
    assert call.returncode == 2
    assert said.startswith(b"error: the computation was killed (SIGKILL)")
    assert b"^" in said


# --- cold, silently -----------------------------------------------------------------------------


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder with a path that is short enough for a socket."""
    with tempfile.TemporaryDirectory(prefix="g") as folder:
        yield Path(folder)


def _way_in(server: Server, folder: Path, mode: int = 0o700) -> dict[str, str]:
    """Another folder that leads to the same server, with that mode."""
    (folder / "gradcli").mkdir()
    for name in os.listdir(f"{server.folder}/gradcli"):
        os.link(f"{server.folder}/gradcli/{name}", folder / "gradcli" / name)
    (folder / "gradcli").chmod(mode)
    return {"XDG_RUNTIME_DIR": str(folder)}


def _link(server: Server, folder: Path) -> dict[str, str]:
    (folder / "gradcli").symlink_to(f"{server.folder}/gradcli")
    return {"XDG_RUNTIME_DIR": str(folder)}


def _of_another_user(server: Server, folder: Path) -> dict[str, str]:
    if os.getuid() != 0:
        pytest.skip("only root can give a folder away")
    found = _way_in(server, folder)
    os.chown(folder / "gradcli", 65534, -1)
    return found


def _stale(server: Server, folder: Path) -> dict[str, str]:
    found = _way_in(server, folder)
    (name,) = (name for name in os.listdir(folder / "gradcli") if name.endswith(".socket"))
    (folder / "gradcli" / name).unlink()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(folder / "gradcli" / name))
    return found


MISFITS: dict[str, Callable[[Server, Path], dict[str, str]]] = {
    "no folder": lambda server, folder: {"XDG_RUNTIME_DIR": str(folder)},
    "a path too long": lambda server, folder: {"XDG_RUNTIME_DIR": str(folder / ("long" * 30))},
    "a folder open to others": lambda server, folder: _way_in(server, folder, 0o755),
    "a link": _link,
    "another user's": _of_another_user,
    "a dead server's socket": _stale,
    "other threads": lambda server, folder: {"OMP_NUM_THREADS": "1"},
    "another path of imports": lambda server, folder: {"PYTHONPATH": f"{ROOT}:{folder}"},
    "another encoding of names": lambda server, folder: {
        "PYTHONUTF8": "0",
        "LC_ALL": "C",
        "PYTHONCOERCECLOCALE": "0",
    },
}


@pytest.mark.parametrize("misfit", first_usual(MISFITS, in_rows(2, MISFITS)))
@pytest.mark.parametrize(
    ("words", "expected"),
    [(QUICK, ("", "error:", 2)), rare((*MSE, "--get", "value"), ("1.0\n", "", 0))],
    ids=["quick", "whole"],
)
def test_whatever_does_not_fit_runs_cold(
    words: tuple[str, ...], expected: tuple[str, str, int], misfit: str, server: Server, short: Path
) -> None:
    env = MISFITS[misfit](server, short)
    done: list[Ran] = []
    assert server.served(lambda: done.append(server.run(*words, env=env))) == 0
    assert (done[0].stdout, done[0].stderr[:6], done[0].status) == expected


def test_the_way_in_of_the_tests_above_works(server: Server, short: Path) -> None:
    env = _way_in(server, short)
    for words in (QUICK, MSE):
        assert server.served(lambda: server.run(*words, env=env)) == 1  # noqa: B023


def test_a_stranger_who_speaks_to_the_socket_does_no_harm(server: Server) -> None:
    (name,) = (name for name in os.listdir(f"{server.folder}/gradcli") if name.endswith(".socket"))
    for said in (
        b"",
        b"x",
        b"c",
        b"s",
        b"c" + b"\0" * 8,
        b"c" + b"\xff" * 8,
        b"c" + (5).to_bytes(8, "big") + b"hello",
    ):
        with socket.socket(socket.AF_UNIX) as stranger:
            stranger.connect(f"{server.folder}/gradcli/{name}")
            stranger.sendall(said)
    assert server.served(lambda: server.run(*MSE)) == 1


def test_the_socket_is_its_users_alone(server: Server) -> None:
    folder = Path(f"{server.folder}/gradcli")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.glob("*.socket")} == {0o600}


def test_another_user_who_reaches_the_socket_all_the_same_is_hung_up_on(server: Server) -> None:
    if os.getuid() != 0:
        pytest.skip("only root can become another user")
    (path,) = Path(f"{server.folder}/gradcli").glob("*.socket")
    opened = {
        place: stat.S_IMODE(place.stat().st_mode)
        for place in (path, path.parent, path.parent.parent)
    }
    for place in opened:
        place.chmod(0o777)
    try:
        assert [_asked(str(path), user) for user in (0, 65534)] == ["answered", "hung up"]
    finally:
        for place, mode in opened.items():
            place.chmod(mode)


def _asked(path: str, user: int) -> str:
    """What comes of asking the server for its status as that user."""
    pid = os.fork()
    if pid == 0:
        outcome = 2
        with contextlib.suppress(OSError, wire.NoServer):
            os.setresuid(user, user, user)
            connection = wire.connect(path, 10)
            outcome = 1
            connection.send(wire.STATUS)
            wire.send(connection, marshal.dumps(wire.environment()))
            outcome = 0 if wire.receive(connection)[0] else 1
        os._exit(outcome)
    return ("answered", "hung up", "not reached")[os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])]


def test_changed_source_runs_cold_and_ends_the_server(short: Path) -> None:
    shutil.copytree(f"{ROOT}/gradcli", short / "gradcli")
    with Server(str(short), cold=True) as own:
        assert own.served(lambda: own.run(*MSE)) == 1
        old = own.status["pid"]
        losses = short / "gradcli" / "catalogue" / "losses.py"
        losses.write_text(losses.read_text(encoding="utf-8") + "\n# changed\n", encoding="utf-8")
        assert own.run(*QUICK).status == 2
        assert until(lambda: gone(old))
        assert own.status == {"running": False}


@pytest.mark.exhaustive
def test_a_server_of_other_source_is_replaced(short: Path) -> None:
    shutil.copytree(f"{ROOT}/gradcli", short / "gradcli")
    with Server(str(short), cold=True) as own:
        losses = short / "gradcli" / "catalogue" / "losses.py"
        losses.write_text(losses.read_text(encoding="utf-8") + "\n# changed\n", encoding="utf-8")
        assert "gradcli server start replaces it" in own.run("server", "status").stdout
        assert own.run("server", "start").stdout.startswith("running")
        assert own.served(lambda: own.run(*MSE)) == 1


@pytest.mark.exhaustive
def test_a_server_that_hangs_is_not_waited_for_and_runs_nothing_later() -> None:
    with Server() as own:
        pid = own.status["pid"]
        os.kill(pid, signal.SIGSTOP)
        with open(f"{own.folder}/out", "wb") as out:
            assert own.start(*QUICK, stderr=out).wait(60) == 2
        os.kill(pid, signal.SIGCONT)
        assert until(
            lambda: own.status["calls"] == 0 and len(own.processes()) == 1 + process_server.SPARES
        )
        assert Path(f"{own.folder}/out").read_bytes().count(b"error:") == 1


# --- the server's own life ----------------------------------------------------------------------


def test_two_starts_at_once_give_one_server() -> None:
    own = Server()
    with ending(own):
        starts = [own.start("server", "start", stdout=subprocess.PIPE) for _ in range(2)]
        said = [start.communicate(timeout=60)[0].decode() for start in starts]
        assert [start.returncode for start in starts] == [0, 0]
        assert len({text.partition("process ")[2].split(",")[0] for text in said}) == 1
        assert until(lambda: len(own.processes()) == 1 + process_server.SPARES)


@contextlib.contextmanager
def ending(server: Server) -> Iterator[None]:
    """Ends what a test has started by hand."""
    try:
        yield
    finally:
        server.__exit__()


def test_start_stop_status() -> None:
    with Server() as own:
        again = own.run("server", "start")
        assert (again.status, again.stdout[:15]) == (0, "already running")
        assert stat.S_IMODE(os.stat(f"{own.folder}/gradcli").st_mode) == 0o700
        found = own.status
        assert found["running"] is True
        assert {"pid", "version", "calls"} <= found.keys()
        assert own.run("server", "status").status == 0
        assert own.run("server", "stop") == Ran("stopped\n", "", 0)
        assert until(
            lambda: own.processes() == [], 5
        )  # what has let go of its pipes may take a moment to go
        assert own.run("server", "stop") == Ran("no server was running\n", "", 0)
        assert own.run("server", "status", "--json") == Ran('{"running":false}\n', "", 1)
        assert own.run("server", "status").status == 1


def test_stopping_lets_a_call_finish(short: Path) -> None:
    with Server() as own:
        call = own.start(
            "activate", "relu", "--x", "-", stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert until(lambda: own.status["calls"] == 1)
        stop = own.start("server", "stop")
        assert until(lambda: own.status == {"running": False})
        assert call.communicate(b"1\n", timeout=20)[0]
        assert call.returncode == 0
        assert stop.wait(20) == 0
        assert until(
            lambda: own.processes() == [], 5
        )  # what has let go of its pipes may take a moment to go


def test_a_dead_server_leaves_no_worker_and_the_call_in_hand_finishes() -> None:
    with Server() as own:
        call = own.start(
            "activate",
            "relu",
            "--x",
            "-",
            "--get",
            "functions.0.value",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert until(lambda: own.status["calls"] == 1)
        os.kill(own.status["pid"], signal.SIGKILL)
        assert call.communicate(b"1\n", timeout=20)[0] == b"1.0\n"
        assert call.returncode == 0
        assert until(lambda: own.processes() == [])
        assert own.run(*QUICK).status == 2  # cold, over the socket that was left
        own.launch()
        assert own.served(lambda: own.run(*MSE)) == 1


def test_an_idle_server_ends_by_itself_and_each_call_renews_it() -> None:
    own = Server()
    with ending(own):
        own.launch("--idle", "2s")
        for _ in range(3):
            time.sleep(1)
            assert own.run(*MSE, "--get", "value").stdout == "1.0\n"
        assert own.status["running"]  # asking does not renew
        assert until(lambda: not own.processes(), 10)
        assert os.listdir(f"{own.folder}/gradcli") != []
        assert not [
            name for name in os.listdir(f"{own.folder}/gradcli") if name.endswith(".socket")
        ]


def test_auto_leaves_a_server_behind_the_first_call_that_loads_pytorch(server: Server) -> None:
    """It answers as one that was started: also where the call that left it has used PyTorch's
    threads, and where its own calls do.
    """
    product = ("grad", "(rand(300, 300) @ rand(300, 300)).sigmoid().sum()*x", "x=1", "--json")
    cases = [(product, ""), *CASES[:12:3], (product, "")]
    own = Server()
    with ending(own):
        own.env["GRADCLI_SERVER"] = "auto"
        for without in (("grad", "--help"), ("grad", "--nonsense"), ("functions",), ()):
            own.run(*without)
            assert own.status == {"running": False}
        assert own.run(*product, cwd="/") == server.run(*product)  # its pipes have ended
        assert until(lambda: own.status["running"])
        assert own.status["idle"] == 1800
        for words, stdin in cases:
            assert own.run(*words, stdin=stdin) == server.run(*words, stdin=stdin)
        assert own.status["calls"] == len(cases)
        assert own.run(*QUICK, env={"OMP_NUM_THREADS": "1"}).status == 2
        assert own.status["calls"] == len(cases)


@pytest.mark.exhaustive
@pytest.mark.parametrize("words", [("grad", "x @ x", "x=1,2;3,4;5,6"), (*LONG[:-1], "1")])
def test_a_call_that_fails_or_dies_leaves_a_server_too(words: tuple[str, ...]) -> None:
    own = Server()
    with ending(own):
        own.env["GRADCLI_SERVER"] = "auto"
        assert own.run(*words).status == 2
        assert until(lambda: own.status["running"])
        assert own.served(lambda: own.run(*MSE)) == 1


@pytest.mark.exhaustive
def test_a_batch_leaves_a_server_too() -> None:
    left = Server()
    with ending(left):
        left.env["GRADCLI_SERVER"] = "auto"
        job = '{"command": "grad", "fn": "mse", "x": 1, "w": 2}'
        assert left.run("batch", stdin=job).json["value"] == 1
        assert until(lambda: left.status["running"])
        assert left.run(*MSE) == program.run(*MSE)


@pytest.mark.parametrize("wish", ["AUTO", "of\x1b", " "])
def test_a_wish_that_there_is_none_of_is_an_error(wish: str) -> None:
    """For every call that computes or is about the server; help, where the values are looked up,
    does not ask for it.
    """
    for words in (MSE, ("functions",), ("server", "status"), ("completion", "bash"), ("batch",)):
        refused = program.run(*words, env={"GRADCLI_SERVER": wish})
        assert (refused.status, refused.stdout) == (2, "")
        assert refused.stderr.startswith(f"error: GRADCLI_SERVER is {wish!r}\n  set it to off")
        assert " auto " in refused.stderr
    for asking in (("--version",), (), ("--help",), ("grad", "--help")):
        assert program.run(*asking, env={"GRADCLI_SERVER": wish}).status == 0
    assert program.run(*MSE, "--get", "value", env={"GRADCLI_SERVER": ""}).stdout == "1.0\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "start|stop|status is missing"),
        (("strt",), "did you mean start"),
        (("start", "--json"), "gradcli server status --json"),
        (("stop", "--idle", "3"), "gradcli server start --idle 45"),
        (("start", "--idle", "soon"), "expected a time"),
        (("start", "--idle", "0"), "expected a time"),
    ],
)
@pytest.mark.smoke
def test_usage(words: tuple[str, ...], said: str) -> None:
    refused = program.run("server", *words)
    assert refused.status == 2
    assert refused.stdout == ""
    assert said in refused.stderr


@pytest.mark.parametrize("where", ["long" * 30, "open"])
def test_a_server_that_cannot_listen_says_why(where: str, short: Path) -> None:
    (short / where).mkdir()
    (short / where / "gradcli").mkdir(mode=0o755)
    refused = program.run("server", "start", env={"XDG_RUNTIME_DIR": str(short / where)})
    assert refused.status == 2
    assert refused.stderr.startswith("error: the server cannot listen")
    assert "XDG_RUNTIME_DIR" in refused.stderr


# --- the server that starts by itself -------------------------------------------------------------

TOLD = (
    "PyTorch stays loaded for the next calls (0.03 s each) until 10 idle minutes have passed; "
    "GRADCLI_SERVER=off: never"
)


def left(
    env: Mapping[str, str | None], *more: str, stdin: int | None = None
) -> tuple[float | None, bool]:
    """The idle time of the server that a call on a terminal leaves behind, None without one, and
    whether the call told of it.
    """
    own = Server()
    with ending(own):
        given = {**own.env, **env}
        chosen = {name: value for name, value in given.items() if value is not None}
        shown, status = on_a_terminal(
            (*MSE, "--get", "value", *more), 80, chosen, own.folder, stdin=stdin
        )
        assert status == 0
        lines = shown.rpartition(b"PyTorch ...\r")[2].lstrip(b" \r").decode().split("\r\n")
        assert lines in (["1.0", ""], ["1.0", TOLD, ""])
        pids = own.processes()
        assert len(pids) <= 1
        if not pids:
            return None, len(lines) > 2
        assert until(lambda: own.status["running"])
        assert own.status["pid"] == pids[0]
        return own.status["idle"], len(lines) > 2


def test_a_server_starts_by_itself_where_a_person_is(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    env = {"XDG_STATE_HOME": str(tmp_path / "state"), "GRADCLI_SERVER": ""}
    assert left({**env, "GRADCLI_SERVER": None}) == (600, True)


def test_no_server_starts_by_itself_where_nobody_is() -> None:
    _, terminal = pty.openpty()
    with open(terminal, "w", encoding="ascii") as here, open(os.devnull, "r+") as nobody:
        world = dataclasses.replace(World.current(), stdin=here, stderr=here, environ={})
        others: list[dict[str, Any]] = [
            {"stdin": nobody},
            {"stdin": None},
            {"stderr": nobody},
            {"environ": {"CI": "true"}},
            {"environ": {"GRADCLI_SERVER": "off"}},
        ]
        assert successor._idle(world) == 600
        assert {successor._idle(dataclasses.replace(world, **other)) for other in others} == {0}


@pytest.mark.exhaustive
def test_it_is_told_once_a_day(tmp_path: Path) -> None:
    env = {"XDG_STATE_HOME": str(tmp_path), "GRADCLI_SERVER": ""}
    assert left(env, "--quiet") == (600, False)
    assert left(env) == (600, True)
    assert left(env) == (600, False)
    (date,) = (tmp_path / "gradcli").iterdir()
    date.write_text("2001-01-01", encoding="ascii")
    assert left(env) == (600, True)


@pytest.mark.exhaustive
def test_no_server_starts_by_itself_in_other_surroundings(tmp_path: Path) -> None:
    env = {"XDG_STATE_HOME": str(tmp_path), "GRADCLI_SERVER": ""}
    with open(os.devnull, encoding="ascii") as null:
        assert left(env, stdin=null.fileno()) == (None, False)
    assert left({**env, "CI": "true"}) == (None, False)
    assert left({**env, "GRADCLI_SERVER": "off"}) == (None, False)
    assert left({"XDG_STATE_HOME": None, "HOME": str(tmp_path), "GRADCLI_SERVER": None}) == (
        600,
        True,
    )
    assert [*(tmp_path / ".local" / "state" / "gradcli").iterdir()]


def test_a_fault_outside_of_what_a_call_reports_is_told(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    with open(tmp_path / "stderr", "w+b") as stderr:
        pid = os.fork()
        if pid == 0:
            ours.close()
            _be_a_worker_with_a_fault(theirs)
        theirs.close()
        call = marshal.dumps(
            (ENVIRONMENT, ["grad"], {"GRADCLI_DEBUG": "1"}, 0o22, [("utf-8", "strict")] * 3)
        )
        folder = os.open(tmp_path, os.O_RDONLY)
        wire.send(ours, call, folder, stderr.fileno(), stderr.fileno(), stderr.fileno())
        os.close(folder)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        ours.close()
        stderr.seek(0)
        said = stderr.read().decode()
    assert said.startswith("error: internal error in gradcli (RuntimeError: out of sight")
    assert "Traceback" in said


def test_a_server_whose_workers_fail_ends_and_its_log_says_why(short: Path) -> None:
    class Failing(server_worker.Origin):
        def restore_threads(self) -> None:
            raise RuntimeError("out of sight")

    origin = Failing(ENVIRONMENT, Watched({}), {}, "", torch.get_num_threads())
    tried = server_worker.Program(
        lambda: iter(()), lambda arguments, progress: 0, lambda words: 0, ("",), ()
    )
    with open(short / "log", "w+b") as log:
        pid = os.fork()
        if pid == 0:
            try:
                os.dup2(log.fileno(), 2)
                sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115
                signal.alarm(20)
                process_server.Server(str(short / "socket"), 60.0, tried, origin).run()
            finally:
                os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        log.seek(0)
        assert log.read().startswith(
            b"internal error in gradcli (RuntimeError: out of sight at test_warm.py:"
        )
    assert os.listdir(short) == ["log"]


ENVIRONMENT: Any = ("", "", [], [])


def _be_a_worker_with_a_fault(connection: socket.socket) -> None:
    def run(arguments: list[str], progress: Progress) -> int:
        raise RuntimeError("out of sight")

    bounds = server_worker.bounds_of(os.getpid())
    origin = server_worker.Origin(ENVIRONMENT, Watched({}), bounds, "", 1)
    status = 99
    try:
        program = server_worker.Program(lambda: iter(()), run, lambda words: 0, (), ())
        inlet, server = socket.socketpair()
        server.send(server_worker.UNCHANGED)
        server_worker.answer(connection, inlet, Progress(), program, origin)
        status = 0
    finally:
        os._exit(status)
