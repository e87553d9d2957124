"""What processes send each other, read and written whole; and where the client and the server meet.

The client imports this file in every call: it needs nothing that an empty Python has not loaded
already but `_socket`.
"""

import _socket
import os
import stat
import sys

TYPE_CHECKING = False  # `typing` itself takes a fifth of an empty Python
if TYPE_CHECKING:
    from collections.abc import Callable

CALL, STATUS, STOP = b"c", b"s", b"q"
"""The first byte that a client sends."""
READY, ACCEPTED, REFUSED, DONE, DIED = b"h", b"a", b"r", b"d", b"k"
"""The first byte of a message to the client. With ACCEPTED comes the worker's process number, with
DONE its exit status, with DIED the signal that it died of and the place that it was at."""

DESCRIPTORS = 1 << 16
"""More descriptors than anybody has open; the system's own bound may be a thousand million, and
closing them takes its time."""

PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_LIKE_THE_SERVERS = (
    "ATEN_", "CUDA_", "GOMP_", "KMP_", "LD_", "MKL_", "OMP_", "OPENBLAS_", "PYTHONHASHSEED", "PYTHONHOME", "PYTHONOPTIMIZE",
    "PYTHONPATH", "PYTHONWARNINGS", "PYTORCH_", "TORCH_", "VECLIB_",
)  # fmt: skip
"""Variables that Python and PyTorch read once, while they are loaded: a call that has other ones
runs cold."""


class NoServer(Exception):  # noqa: N818 - nothing is wrong
    """There is no server that can take this call."""


def folder() -> str:
    """Where the sockets of this user lie."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    return (
        f"{runtime}/gradcli"
        if runtime
        else f"{os.environ.get('TMPDIR') or '/tmp'}/gradcli-{os.getuid()}"
    )


def socket_base() -> str:
    """The path of the socket, less its suffix: one for each installation of gradcli.

    Raises NoServer where this system has no Unix sockets, and where the folder is not there or not
    this user's alone.
    """
    if not hasattr(_socket, "AF_UNIX"):
        raise NoServer("this system has no Unix sockets")
    place = folder()
    try:
        found = os.lstat(place)
    except (OSError, ValueError):
        raise NoServer(f"there is no folder {place}") from None
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise NoServer(f"{place} is not private to you")
    whose = os.fsencode(f"{PACKAGE}\n{sys.prefix}")
    return f"{place}/{int.from_bytes(whose, 'big') % (2**61 - 1):x}"


def connected(path: str, seconds: float) -> _socket.socket:
    """A connection to the server that listens at `path`; each step of what follows may take
    `seconds`.

    Raises NoServer where nobody listens.
    """
    connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        connection.settimeout(seconds)
        connection.connect(path)
    except (OSError, ValueError):
        raise NoServer("nobody listens there") from None
    return connection


def environment() -> tuple[str, str, list[int], list[tuple[str, str]]]:
    """What must be the same on both sides for a call to be the same: Python, and what is read when
    PyTorch is loaded.
    """
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    chosen = sorted(item for item in os.environ.items() if item[0].startswith(_LIKE_THE_SERVERS))
    try:  # noqa: SIM105 - contextlib is not free
        chosen.append(
            ("", os.readlink("/proc/self/ns/mnt"))
        )  # in a container the same path may be another file
    except OSError:
        pass
    return sys.version, sys.getfilesystemencoding(), cores, chosen


def message(kind: bytes, *numbers: int) -> bytes:
    """Something said to the client: a kind and up to three numbers."""
    padded = (*numbers, 0, 0, 0)[:3]
    return kind + b"".join(number.to_bytes(4, "big", signed=True) for number in padded)


def heard(connection: _socket.socket) -> tuple[bytes, int, int, int]:
    """The next message of the server or its worker; of no kind where both have gone."""
    content = read_exactly(connection.recv, 13)
    first, second, third = (
        int.from_bytes(content[i : i + 4], "big", signed=True) for i in (1, 5, 9)
    )
    return content[:1], first, second, third


def rights(*numbers: int) -> tuple[int, int, bytes]:
    """Descriptors as a message carries them beside its content."""
    return (
        _socket.SOL_SOCKET,
        _socket.SCM_RIGHTS,
        b"".join(fd.to_bytes(4, sys.byteorder) for fd in numbers),
    )


def descriptors(ancillary: list[tuple[int, int, bytes]]) -> list[int]:
    """The descriptors that came beside a message."""
    return [
        int.from_bytes(packed[i : i + 4], sys.byteorder)
        for level, kind, packed in ancillary
        if (level, kind) == (_socket.SOL_SOCKET, _socket.SCM_RIGHTS)
        for i in range(0, len(packed) - len(packed) % 4, 4)
    ]


def send(connection: _socket.socket, content: bytes, *numbers: int) -> None:
    """A frame: its length and its content, and descriptors beside it."""
    frame = len(content).to_bytes(8, "big") + content
    sent = connection.sendmsg([frame], [rights(*numbers)] if numbers else [])
    if sent < len(frame):  # sending nothing fails too where the other side has answered and gone
        connection.sendall(frame[sent:])


def receive(connection: _socket.socket) -> tuple[bytes, list[int]]:
    """A frame and its descriptors; empty where the other side has gone before it was whole."""
    head, ancillary, _, _ = connection.recvmsg(8, _socket.CMSG_SPACE(8 * 4))
    head += read_exactly(connection.recv, 8 - len(head))
    content = read_exactly(connection.recv, int.from_bytes(head, "big")) if len(head) == 8 else b""
    return content, descriptors(ancillary)


def read_exactly(read: "Callable[[int], bytes]", size: int) -> bytes:
    """`size` bytes, of which `read` gives at most as many as it is asked for; none where the other
    side ends before.
    """
    content = bytearray()
    while len(content) < size:
        piece = read(min(size - len(content), 1 << 18))
        if not piece:
            return b""
        content += piece
    return bytes(content)


def write_all(fd: int, content: bytes) -> None:
    """Write everything, though a pipe may take a part at a time."""
    view = memoryview(content)
    while view:
        view = view[os.write(fd, view) :]


def caller(connection: _socket.socket) -> tuple[int, int, int]:
    """Who called, as the system tells it: process, user and group. Where it does not, the folder's
    permissions have to do: no process, and the user and group of this one.
    """
    if not hasattr(_socket, "SO_PEERCRED"):
        return 0, os.getuid(), os.getegid()
    packed = connection.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 12)
    process, user, group = (int.from_bytes(packed[i : i + 4], sys.byteorder) for i in (0, 4, 8))
    return process, user, group
