"""The program: the version, a warm call, or the whole command line; heavy imports come late."""

import _signal as signal  # type: ignore[import-not-found]  # `signal` itself loads enum, a third of an empty Python
import gc
import os
import sys


def main() -> int:
    """Run one call and return its exit status."""
    if signal.getsignal(signal.SIGINT) == signal.default_int_handler:
        # Ctrl-C ends the call at once, wherever it is, and without a message.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    arguments = sys.argv[1:]
    if shell := os.environ.get("_GRADCLI_COMPLETE"):
        return _complete(shell, arguments)
    if arguments[:1] == ["--version"]:
        return _version()
    wish = os.environ.get("GRADCLI_SERVER", "")
    if wish not in ("", "auto"):
        return _cold(arguments)  # which reports an invalid value of GRADCLI_SERVER
    from gradcli.process import client

    try:
        client.run(arguments, client.usual_socket())
    except client.NoServer:
        pass  # an error of the cold call must not have this one as its context
    except client.WorkerDied as death:
        from gradcli.cli import main as program
        from gradcli.world import World

        return program.worker_died(arguments, World.current(), death.signum, death.where)
    return _cold(arguments)


def _cold(arguments: list[str]) -> int:
    gc.disable()  # loading makes no garbage; what computes enables it again
    from gradcli.cli import main as program
    from gradcli.world import World

    return program.run(arguments, World.current())


def _complete(shell: str, arguments: list[str]) -> int:
    """Answer a completion script, which sets that variable; file names may hold any bytes."""
    from gradcli.cli.complete import complete

    return _put(complete(shell, arguments).encode("utf-8", "surrogateescape"))


def _version() -> int:
    from gradcli import __version__
    from gradcli.installed import torch_version

    return _put(f"gradcli {__version__} (PyTorch {torch_version()})\n".encode())


def _put(content: bytes) -> int:
    """Write to standard output as `World.put` does, without the time that loading it takes."""
    try:
        if sys.stdout:
            sys.stdout.buffer.write(content)
            sys.stdout.buffer.flush()
    except BrokenPipeError:
        return 141
    except OSError as error:
        reason = (error.strerror or "").lower()
        try:  # noqa: SIM105 - contextlib is not free
            print(f"error: standard output cannot be written: {reason}", file=sys.stderr)
        except OSError:
            pass
        return 2
    return 0


def run() -> None:
    """Run one call and end this process: the whole of `gradcli`."""
    status = main()
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream:
                stream.flush()
        except OSError:
            pass  # it was written before, and the status says that it could not be
    os._exit(status)  # nothing is left to do, and Python's own end takes as long as an empty Python


if __name__ == "__main__":
    run()
