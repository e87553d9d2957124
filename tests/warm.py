"""A server of the tests' own, and calls of the program as its user makes them: on pipes or on a
terminal, warm or cold.
"""

import fcntl
import json
import os
import pty
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests import program
from tests.program import BASE, ROOT, Ran, child, usual_signals

SURROUNDINGS: tuple[dict[str, str], ...] = (
    {},
    {"LC_ALL": "C", "PYTHONIOENCODING": ""},
    {"NO_COLOR": "1"},
    {"FORCE_COLOR": "1"},
)
"""Variables that steer how output looks."""
GRADCLI = [sys.executable, "-m", "gradcli"]


class Server:
    """A server in a folder of its own. As a context it is started, and ended whatever happens: by a
    process that has loaded PyTorch, or `cold`.
    """

    def __init__(self, source: str = ROOT, *, cold: bool = False) -> None:
        self._cold = cold
        self.folder = tempfile.mkdtemp(prefix="g")
        self.env = {
            **BASE,
            "XDG_RUNTIME_DIR": self.folder,
            "PYTHONPATH": source,
            "HOME": self.folder,
        }
        del self.env["GRADCLI_SERVER"]
        self.calls: list[subprocess.Popen[bytes]] = []
        self._session = ""

    def __enter__(self) -> "Server":
        self.launch()
        return self

    def launch(self, *options: str) -> None:
        """Start the server."""
        words = ("server", "start", *options)
        started = self.run(*words) if self._cold else program.run(*words, env=self.env, whole=True)
        assert started.status == 0, started.stderr
        self._session = str(self.status["pid"])

    def end_calls(self) -> None:
        """End what a test has left running."""
        for call in self.calls:
            call.kill()
            call.wait()

    def __exit__(self, *_: object) -> None:
        self.end_calls()
        for pid in self.processes():
            os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.folder)

    def run(
        self,
        *words: str,
        stdin: str = "",
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
    ) -> Ran:
        """One call of this user on pipes."""
        done = subprocess.run(
            [*GRADCLI, *words], input=stdin.encode(), capture_output=True, env={**self.env, **(env or {})},
            cwd=cwd or self.folder, check=False, timeout=100,
        )  # fmt: skip
        return Ran(
            done.stdout.decode(errors="surrogateescape"),
            done.stderr.decode(errors="replace"),
            done.returncode,
        )

    def start(self, *words: str, **more: Any) -> "subprocess.Popen[bytes]":
        """A call left running."""
        more = {
            "cwd": self.folder,
            "stdin": subprocess.DEVNULL,
            "process_group": 0,
            "preexec_fn": usual_signals,
            **more,
        }  # a group that Ctrl-Z can stop
        call = subprocess.Popen([*GRADCLI, *words], env={**self.env, **more.pop("env", {})}, **more)
        self.calls = [known for known in self.calls if known.poll() is None] + [call]
        return call

    @property
    def status(self) -> dict[str, Any]:
        """What the server says of itself: asked a hundred times, and so not by a fresh Python."""
        words = ("server", "status", "--json")
        said = self.run(*words) if self._cold else program.run(*words, env=self.env)
        return json.loads(said.stdout)  # type: ignore[no-any-return]

    def served(self, action: Callable[[], object]) -> int:
        """How many calls the server took while `action` ran."""
        before = self.status["calls"]
        action()
        return int(self.status["calls"]) - int(before)

    def processes(self) -> list[int]:
        """The server and its workers: whatever still runs in the session of the server, or with its
        folder among its variables or words.
        """
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                given = b"".join(
                    Path(f"/proc/{pid}/{part}").read_bytes() for part in ("cmdline", "environ")
                )
                text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
            except OSError:
                continue
            state, _, _, session = text.rpartition(")")[2].split()[:4]
            if (session == self._session or self.folder.encode() in given) and state != "Z":
                found.append(int(pid))
        return found


def on_a_terminal(
    words: Sequence[str],
    columns: int,
    env: Mapping[str, str],
    cwd: str,
    *,
    fork: bool = False,
    stdin: int | None = None,
) -> tuple[bytes, int]:
    """What a call shows on a terminal of that width, all three streams on it (or `stdin` in place
    of one), and its exit status.

    With `fork` the program runs cold, but in a process forked from this one, which has PyTorch
    loaded.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    if fork:
        pid = program.fork()
        if pid == 0:
            os.close(ours)
            child(words, (theirs, theirs, theirs), {**env, "GRADCLI_SERVER": "off"}, cwd)
        os.close(theirs)
        shown = all_of(ours)
        return shown, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    process = subprocess.Popen(
        [*GRADCLI, *words],
        stdin=theirs if stdin is None else stdin,
        stdout=theirs,
        stderr=theirs,
        env=env,
        cwd=cwd,
        start_new_session=True,
    )
    os.close(theirs)
    return all_of(ours), process.wait(timeout=100)


def all_of(fd: int) -> bytes:
    """All that is written to a terminal until nobody has its other end any more."""
    shown = b""
    while True:
        try:
            piece = os.read(fd, 1 << 16)
        except OSError:  # nobody has the other end any more
            piece = b""
        if not piece:
            os.close(fd)
            return shown
        shown += piece


def until(condition: Callable[..., object], seconds: float = 20, pause: float = 0.02) -> bool:
    """Whether a condition came true in that time. It is asked for after each pause, in seconds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(pause)
    return False
