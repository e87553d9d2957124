"""The program: the version, else a warm call, else the whole command line. Heavy imports wait until
they are needed.
"""

import _signal as signal  # type: ignore[import-not-found]  # `signal` itself loads enum, a third of an empty Python
import gc
import os
import sys

_ALWAYS_COLD = ("server", "completion")
"""Commands that need no server, or are about it."""


def main() -> int:
    """Run one call and return its exit status."""
    if signal.getsignal(signal.SIGINT) == signal.default_int_handler:
        signal.signal(
            signal.SIGINT, signal.SIG_DFL
        )  # Ctrl-C ends the call at once, wherever it is, and without a word
    arguments = sys.argv[1:]
    if shell := os.environ.get("_GRADCLI_COMPLETE"):
        return _complete(shell, arguments)
    if arguments[:1] == ["--version"]:
        return _version()
    wish = os.environ.get("GRADCLI_SERVER", "")
    if wish not in ("", "auto") or (arguments[:1] and arguments[0] in _ALWAYS_COLD):
        return _cold(arguments)  # which reports a value of GRADCLI_SERVER that there is not
    from gradcli.process import client

    try:
        client.run(arguments)
    except client.NoServer:
        status = _cold(arguments)
    except client.WorkerDied as death:
        from gradcli.cli import main as program
        from gradcli.world import World

        return program.worker_died(arguments, World.current(), death.signum, death.where)
    if wish == "auto":
        from gradcli.process import control

        control.start_in_background("gradcli.cli.serve")
    return status


def _cold(arguments: list[str]) -> int:
    gc.disable()  # nothing of what loading makes is garbage; whoever goes on computing enables it again
    from gradcli.cli import main as program
    from gradcli.world import World

    return program.run(arguments, World.current())


def _complete(shell: str, arguments: list[str]) -> int:
    """Answer a completion script, which asks by that variable; names of files may be no text."""
    from gradcli.cli.complete import complete

    return _put(complete(shell, arguments).encode("utf-8", "surrogateescape"))


def _version() -> int:
    from gradcli import __version__
    from gradcli.installed import torch_version

    return _put(f"gradcli {__version__} (PyTorch {torch_version()})\n".encode())


def _put(content: bytes) -> int:
    """Write to standard output, and return the exit status, as `World.put` would; that one takes
    longer to load than this.
    """
    try:
        if sys.stdout:
            sys.stdout.buffer.write(content)
            sys.stdout.buffer.flush()
    except BrokenPipeError:
        return 141
    except OSError as error:
        try:  # noqa: SIM105 - contextlib is not free
            print(
                f"error: standard output cannot be written: {(error.strerror or '').lower()}",
                file=sys.stderr,
            )
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
