"""Messages and frames between processes, and the socket where client and server meet.

Every call imports this file in the client: it may load only what an empty Python has loaded
already, and `_socket`.
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
"""The first byte of a message to the client. ACCEPTED carries the worker's process number, DONE its
exit status, DIED the signal that ended it and the place in the expression that it computed."""

DESCRIPTORS = 1 << 16
"""A bound on the descriptors to close. The system's own bound may be 1e9, which takes too long."""

PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_AT_LOAD = (
    "ATEN_", "CUDA_", "GOMP_", "KMP_", "LD_", "MKL_", "OMP_", "OPENBLAS_", "PYTHONHASHSEED", "PYTHONHOME", "PYTHONOPTIMIZE",
    "PYTHONPATH", "PYTHONWARNINGS", "PYTORCH_", "TORCH_", "VECLIB_",
)  # fmt: skip
"""Prefixes of variables that Python and PyTorch read once, while they load: a call in which they
differ from the server's runs cold."""


class NoServer(Exception):  # noqa: N818 - not an error: the call runs cold
    """There is no server that can take this call."""


def folder() -> str:
    """The folder of this user's sockets."""
    if runtime := os.environ.get("XDG_RUNTIME_DIR"):
        return f"{runtime}/gradcli"
    return f"{os.environ.get('TMPDIR') or '/tmp'}/gradcli-{os.getuid()}"


def socket_base() -> str:
    """The path of the socket without its suffix: one for each installation of gradcli.

    Raises NoServer if the system has no Unix sockets, or the folder is missing or not private.
    """
    if not hasattr(_socket, "AF_UNIX"):
        raise NoServer("this system has no Unix sockets")
    place = folder()
    try:
        status = os.lstat(place)
    except (OSError, ValueError):
        raise NoServer(f"there is no folder {place}") from None
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o077:
        raise NoServer(f"{place} is not private to you")
    installation = os.fsencode(f"{PACKAGE}\n{sys.prefix}")
    return f"{place}/{int.from_bytes(installation, 'big') % (2**61 - 1):x}"


def connect(path: str, seconds: float) -> _socket.socket:
    """Connect to the server that listens at `path`; every operation may then take `seconds`.

    Raises NoServer if nothing listens there.
    """
    connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        connection.settimeout(seconds)
        connection.connect(path)
    except (OSError, ValueError):
        raise NoServer("nobody listens there") from None
    return connection


def environment() -> tuple[str, str, list[int], list[tuple[str, str]]]:
    """What must be equal in client and server: Python, and what is read while PyTorch loads."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    variables = sorted(item for item in os.environ.items() if item[0].startswith(_AT_LOAD))
    try:  # noqa: SIM105 - contextlib is not free
        # In a container the same path may be another file.
        variables.append(("", os.readlink("/proc/self/ns/mnt")))
    except OSError:
        pass
    return sys.version, sys.getfilesystemencoding(), cores, variables


def message(kind: bytes, *numbers: int) -> bytes:
    """A message to the client, 13 bytes: a kind and up to three numbers."""
    padded = (*numbers, 0, 0, 0)[:3]
    return kind + b"".join(number.to_bytes(4, "big", signed=True) for number in padded)


def receive_message(connection: _socket.socket) -> tuple[bytes, int, int, int]:
    """The next message of the server or its worker; its kind is empty if both have ended."""
    content = read_exactly(connection.recv, 13)
    first, second, third = (
        int.from_bytes(content[i : i + 4], "big", signed=True) for i in (1, 5, 9)
    )
    return content[:1], first, second, third


def pack_descriptors(*numbers: int) -> tuple[int, int, bytes]:
    """Descriptors as the ancillary data of a message."""
    packed = b"".join(fd.to_bytes(4, sys.byteorder) for fd in numbers)
    return _socket.SOL_SOCKET, _socket.SCM_RIGHTS, packed


def unpack_descriptors(ancillary: list[tuple[int, int, bytes]]) -> list[int]:
    """The descriptors in the ancillary data of a message."""
    return [
        int.from_bytes(packed[i : i + 4], sys.byteorder)
        for level, kind, packed in ancillary
        if (level, kind) == (_socket.SOL_SOCKET, _socket.SCM_RIGHTS)
        for i in range(0, len(packed) - len(packed) % 4, 4)
    ]


def send(connection: _socket.socket, content: bytes, *descriptors: int) -> None:
    """Send a frame, its length and its content, together with descriptors."""
    frame = len(content).to_bytes(8, "big") + content
    sent = connection.sendmsg([frame], [pack_descriptors(*descriptors)] if descriptors else [])
    if sent < len(frame):  # sending no bytes fails too if the peer has answered and closed
        connection.sendall(frame[sent:])


def receive(connection: _socket.socket) -> tuple[bytes, list[int]]:
    """A frame and its descriptors; the content is empty if the peer closed before its end."""
    head, ancillary, _, _ = connection.recvmsg(8, _socket.CMSG_SPACE(8 * 4))
    head += read_exactly(connection.recv, 8 - len(head))
    content = read_exactly(connection.recv, int.from_bytes(head, "big")) if len(head) == 8 else b""
    return content, unpack_descriptors(ancillary)


def read_exactly(read: "Callable[[int], bytes]", size: int) -> bytes:
    """Read `size` bytes from `read`, which may return fewer; none if the stream ends early."""
    content = bytearray()
    while len(content) < size:
        piece = read(min(size - len(content), 1 << 18))
        if not piece:
            return b""
        content += piece
    return bytes(content)


def write_all(fd: int, content: bytes) -> None:
    """Write all of `content`, of which a pipe may take a part at a time."""
    view = memoryview(content)
    while view:
        view = view[os.write(fd, view) :]


def close_all_but(*kept: int) -> None:
    """Close every descriptor of this process but its streams and `kept`."""
    begin = 3
    for fd in (*sorted(kept), DESCRIPTORS):
        os.closerange(begin, fd)
        begin = fd + 1


def peer(connection: _socket.socket) -> tuple[int, int, int]:
    """The process, user and group of the peer.

    A system without SO_PEERCRED gives no process, and the user and group of this one: there the
    folder's permissions alone protect the socket.
    """
    if not hasattr(_socket, "SO_PEERCRED"):
        return 0, os.getuid(), os.getegid()
    packed = connection.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 12)
    process, user, group = (int.from_bytes(packed[i : i + 4], sys.byteorder) for i in (0, 4, 8))
    return process, user, group
