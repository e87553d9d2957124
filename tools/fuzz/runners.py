"""Runs inputs: texts in this process, jobs through a batch, words in a fork of their own; each gets
a verdict.

A verdict is what became of an input (`ok`, the kind of an error), and where something is wrong it
begins with `!`.
"""

import ctypes
import os
import re
import resource
import select
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from types import FrameType
from typing import TypeVar

from gradcli.cli import report
from gradcli.commands.batch.lines import JOBS
from gradcli.errors import GradcliError
from gradcli.process.pool import FRAME
from gradcli.world import World
from tests import program
from tools.fuzz import invariants, requests

HANG = 10
"""Seconds after which an input that has not been answered hangs."""
LONGEST = 70
"""Seconds after which even a job that has the time limit of every job, a minute, should have been
answered."""
MEMORY = 4 << 30
"""Bytes of address space that a process may have beside what PyTorch's libraries take."""
_SUBREAPER = 36
"""PR_SET_CHILD_SUBREAPER of prctl(2)."""

Input = TypeVar("Input")


class Hung(BaseException):
    """A text took longer than it may."""


@dataclass
class Scratch:
    """A folder in which everything happens: nothing may be written into `work` and `home`, and
    nobody stay behind.
    """

    root: str

    def __post_init__(self) -> None:
        for name in ("work", "home", "data"):
            os.makedirs(os.path.join(self.root, name))
        ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)  # whom a call leaves behind is handed to us

    def path(self, *names: str) -> str:
        return os.path.join(self.root, *names)

    @property
    def env(self) -> dict[str, str]:
        home = self.path("home")
        return {
            **program.BASE,
            "HOME": home,
            "XDG_RUNTIME_DIR": home,
            "MPLCONFIGDIR": self.path("data"),
        }  # its fonts are its own

    def written(self) -> list[str]:
        """The files that lie where none should; they are removed."""
        found = [
            os.path.join(folder, name)
            for place in ("work", "home")
            for folder, folders, files in os.walk(self.path(place))
            for name in (*folders, *files)
        ]
        if found:
            for place in ("work", "home"):
                shutil.rmtree(self.path(place))
                os.makedirs(self.path(place))
        return [os.path.relpath(path, self.path("work")) for path in found]

    def left_running(self) -> list[int]:
        """The processes that a call has left; they are ended."""
        deadline = time.monotonic() + 5
        try:
            while time.monotonic() < deadline:
                if os.waitpid(-1, os.WNOHANG)[0] == 0:
                    time.sleep(0.005)
        except ChildProcessError:
            return []
        with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as file:
            left = [int(pid) for pid in file.read().split()]
        for pid in left:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        return left


@dataclass(frozen=True)
class Ended:
    """How a forked call ended: its exit status (negative: a signal), and the largest it ever was,
    in bytes.
    """

    status: int
    memory: int


def _bounded(
    scratch: Scratch, words: Sequence[str], streams: tuple[int, int, int], env: Mapping[str, str]
) -> None:
    """Be a call with a bound on its memory, in a session of its own; never returns."""
    os.setsid()
    with open("/proc/self/statm", encoding="ascii") as file:
        size = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, size + MEMORY))
    program.child(words, streams, {**scratch.env, **env}, scratch.path("work"), seconds=1_000)


def _wait(pid: int) -> Ended:
    _, status, used = os.wait4(pid, 0)
    return Ended(os.waitstatus_to_exitcode(status), used.ru_maxrss * 1024)


def _end(pid: int) -> None:
    """End a call and all that belongs to it."""
    os.killpg(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


# --- texts, in this process ---------------------------------------------------------------------

_WORLD = World.current()


def text(read: Callable[[str], object], given: str) -> str:
    """The verdict on a text that `read` reads, or refuses by a GradcliError."""
    begun = time.process_time()
    try:
        with _alarm():
            read(given)
    except GradcliError as error:
        complaint = drawn(error, given)
        found = f"!{complaint}" if complaint else error.kind
    except Hung:
        return "!hang"
    except Exception as error:
        return f"!raises {_at(error)}"
    else:
        found = "ok"
    seconds = time.process_time() - begun
    return (
        f"!slow: {seconds:.0f} s of processor time"
        if seconds > 2 and not found.startswith("!")
        else found
    )


def drawn(error: GradcliError, given: str) -> str:
    """A complaint about an error as it would be drawn."""
    return invariants.of_error(report.draw(error, _WORLD), given)


@contextmanager
def _alarm() -> Iterator[None]:
    def ring(number: int, frame: FrameType | None) -> None:
        raise Hung

    signal.signal(signal.SIGALRM, ring)
    signal.alarm(HANG)
    try:
        yield
    finally:
        signal.alarm(0)


def _at(error: BaseException) -> str:
    line = error.__traceback__
    while line and line.tb_next:
        line = line.tb_next
    where = (
        f"{os.path.basename(line.tb_frame.f_code.co_filename)}:{line.tb_lineno}"
        if line
        else "nowhere"
    )
    return f"{type(error).__name__} at {where}: {str(error)[:120]}"


# --- lines, through a batch ---------------------------------------------------------------------


def lines(given: Sequence[bytes], scratch: Scratch, words: Sequence[str] = ()) -> list[str]:
    """The verdicts on the lines of one batch. A line that hangs ends its batch; the rest goes into
    another one.
    """
    told = [line for line in given if line.strip()]
    found: list[str] = []
    while len(found) < len(told):
        found += _batch(told[len(found) :], scratch, words)
    verdicts = iter(found)
    return [next(verdicts) if line.strip() else "blank" for line in given]


def _batch(given: Sequence[bytes], scratch: Scratch, words: Sequence[str]) -> list[str]:
    """The verdicts up to the end, or up to the line that hangs."""
    with tempfile.TemporaryFile() as err:
        (theirs_in, ours_out), (ours_in, theirs_out) = os.pipe(), os.pipe()
        pid = program.fork()
        if pid == 0:
            os.close(ours_out)
            os.close(ours_in)
            _bounded(scratch, ("batch", *words), (theirs_in, theirs_out, err.fileno()), {})
        os.close(theirs_in)
        os.close(theirs_out)
        answers, whole = _converse(ours_out, ours_in, given)
        if not whole:
            _end(pid)
            scratch.left_running()
            return [*_judged(answers, given), "outlasted" if _may_wait(answers, given) else "!hang"]
        ended = _wait(pid)
        err.seek(0)
        said = err.read().decode(errors="replace")
    verdicts = _judged(answers, given)
    failing = any(
        b'"error":{"kind"' in answer[:4000] and answer.startswith(b'{"id"') for answer in answers
    )
    complaints = [
        f"count: {len(answers)} answers to {len(given)} lines"
        if len(answers) != len(given)
        else "",
        f"status: {ended.status}" if ended.status != int(failing) else "",
        f"stderr: {said[:300]!r}" if said else "",
        *_traces(scratch, ()),
    ]
    if complaint := "; ".join(filter(None, complaints)):
        verdicts = [f"!{complaint}"] * len(given)
    return verdicts


def _judged(answers: Sequence[bytes], given: Sequence[bytes]) -> list[str]:
    found = []
    for answer, line in zip(answers, given, strict=False):
        verdict, complaint = invariants.of_line(answer, line)
        found.append(f"!{complaint}" if complaint else verdict)
    return found


def _converse(out: int, into: int, given: Sequence[bytes]) -> tuple[list[bytes], bool]:
    """Write all lines and read answers until there are no more; whether that came to an end."""
    os.set_blocking(out, False)
    rest, said, open_out, silent = memoryview(b"\n".join(given) + b"\n"), bytearray(), True, 0
    while True:
        ready, writable, _ = select.select([into], [out] if open_out else [], [], HANG)
        if not ready and not writable:
            silent += HANG
            if silent > LONGEST or not _may_wait(bytes(said).split(b"\n")[:-1], given):
                break
            continue
        silent = 0
        if writable:
            try:
                rest = rest[os.write(out, rest[: 1 << 16]) :]
            except BrokenPipeError:
                rest = rest[:0]
            if not rest:
                os.close(out)
                open_out = False
        if ready:
            piece = os.read(into, 1 << 20)
            if not piece:
                break
            said += piece
    if open_out:
        os.close(out)
    os.close(into)
    return bytes(said).split(b"\n")[:-1], bool(ready)


def _may_wait(answers: Sequence[bytes], given: Sequence[bytes]) -> bool:
    """Whether silence is no fault: an answer may wait for that of a job behind it, which may ask
    for more time.
    """
    return any(map(requests.patient, given[len(answers) : len(answers) + FRAME]))


def _traces(scratch: Scratch, allowed: Sequence[str]) -> list[str]:
    """What a call has left behind that it should not have."""
    left = scratch.left_running()
    written = sorted(each for each in scratch.written() if not each.startswith((*allowed,)))
    return [f"left running: {len(left)}" if left else "", f"written: {written}" if written else ""]


# --- words, each call in a fork of its own ------------------------------------------------------


@dataclass(frozen=True)
class Call:
    """What a user types, what stands on standard input, and the variables that steer how output
    looks.
    """

    words: tuple[str, ...]
    stdin: bytes = b""
    env: tuple[tuple[str, str], ...] = ()


SURROUNDINGS: tuple[tuple[tuple[str, str], ...], ...] = (
    (), (), (), (("COLUMNS", "20"),), (("COLUMNS", "1"),), (("COLUMNS", "80"), ("LINES", "5")), (("FORCE_COLOR", "1"),),
    (("PYTHONIOENCODING", "ascii"),), (("PYTHONIOENCODING", "latin-1"),),
)  # fmt: skip


def call(given: Call, scratch: Scratch) -> str:
    """The verdict on one call."""
    words = given.words
    if words[:2] == ("server", "start") or (words[:1] == ("server",) and "start" in words):
        return "not run"
    if (
        not any(word.startswith("--timeout") for word in words)
        and words[:1]
        and words[0] in _WITH_TIMEOUT
    ):
        words = (words[0], "--timeout", str(requests.PATIENCE), *words[1:])
    words = tuple(_tame(words))
    ran = _run(words, given.stdin, dict(given.env), scratch)
    if ran is None:
        scratch.left_running()
        scratch.written()
        return (
            "outlasted"
            if any(f"--{name}" in word for word in words for name in requests.LONG[:3])
            else "!hang"
        )
    return _judge(words, *ran, given, scratch)


def own_code(words: Sequence[str], scratch: Scratch) -> str:
    """The verdict on a call that runs code of the user's, which may print and write what it likes."""
    ran = _run(words, b"", {}, scratch)
    scratch.left_running()
    scratch.written()
    if ran is None:
        return "!hang"
    ended, out, err = ran
    if ended.status == 2 and out:
        return "!stdout is not empty"
    if ended.status in (0, 1, 2) and invariants.FAULT not in err:
        return f"status {ended.status}"
    return f"!status {ended.status}: {err[-300:]!r}"


def _run(
    words: Sequence[str], given: bytes, env: Mapping[str, str], scratch: Scratch
) -> tuple[Ended, bytes, str] | None:
    """How a call ended, and its output and errors; None for one that hangs."""
    with (
        tempfile.TemporaryFile() as stdin,
        tempfile.TemporaryFile() as out,
        tempfile.TemporaryFile() as err,
    ):
        stdin.write(given)
        stdin.seek(0)
        pid = program.fork()
        if pid == 0:
            _bounded(scratch, words, (stdin.fileno(), out.fileno(), err.fileno()), env)
        if not _ends(pid):
            _end(pid)
            return None
        ended = _wait(pid)
        out.seek(0)
        err.seek(0)
        return ended, out.read(), err.read().decode(errors="replace")


_WITH_TIMEOUT = frozenset(JOBS) | {"plot"}


_LONG = re.compile(r"\d\d|[2-9]|e|pi|^0$")
"""Times that may be longer than a run can wait for."""


def _tame(words: Sequence[str]) -> Iterator[str]:
    """The words with files of `--out` in the working folder, and no time limit that a run cannot
    wait for.
    """
    before = ""
    for word in words:
        name, equals, value = word.partition("=")
        if before == "--out":
            word = word.replace("/", "_").replace("~", "_")
        elif name == "--out" and equals:
            word = f"--out={value.replace('/', '_').replace('~', '_')}"
        elif before == "--timeout" and _LONG.search(word):
            word = "1"
        elif name == "--timeout" and _LONG.search(value):
            word = "--timeout=1"
        yield word
        before = word


def _ends(pid: int) -> bool:
    fd = os.pidfd_open(pid)
    try:
        return bool(select.select([fd], [], [], HANG)[0])
    finally:
        os.close(fd)


def _judge(
    words: Sequence[str], ended: Ended, out: bytes, err: str, given: Call, scratch: Scratch
) -> str:
    plain = words[: words.index("--")] if "--" in words else words
    helped = any(word in ("-h", "--help") for word in plain) or not words
    targets = [word.removeprefix("--out=") for word in plain if word.startswith("--out=")]
    targets += [after for word, after in pairwise(plain) if word == "--out"]
    allowed = ["../home/gradcli"] if words[:1] == ("session",) else []  # its socket and its log
    traces = _traces(scratch, [*allowed, *targets] if ended.status in (0, 1) else allowed)
    complaint = "; ".join(filter(None, traces))
    if words[:1] == ("session",) and not helped and ended.status in (0, 1, 2):
        complaint = complaint or ("fault" if invariants.FAULT in err else "")  # many calls in one
    elif ended.status == 2:
        said = "\n".join([*words, given.stdin.decode(errors="replace")])
        complaint = (
            complaint or invariants.of_error(err, said) or ("stdout is not empty" if out else "")
        )
    elif ended.status in (0, 1):
        if ended.status == 1 and not (
            words[:1] in (("batch",), ("derive",), ("server",)) or _tests(plain)
        ):
            complaint = complaint or "status 1 where nothing is judged"
        complaint = complaint or invariants.of_notes(err)
        if (
            "--json" in plain
            and not helped
            and "--out" not in " ".join(plain)
            and words[0] not in ("batch", "server")
        ):
            complaint = complaint or invariants.of_json(out)
        for form, of_form in invariants.FORMS.items():
            if form in plain and not helped and "--out" not in " ".join(plain):
                complaint = complaint or of_form(out.decode(errors="replace"))
    else:
        complaint = f"status {ended.status}: {err[:300]!r}"
    return f"!{complaint}" if complaint else f"status {ended.status}"


def _tests(words: Sequence[str]) -> bool:
    return any(word.startswith(("--check", "--expect")) for word in words)
