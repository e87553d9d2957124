"""One call: words, request, result, bytes. The parent makes the request, a worker the rest."""

import gc
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cache
from typing import Any

from gradcli.cli.progress import Loading, Steps
from gradcli.cli.report import report
from gradcli.cli.successor import Successor
from gradcli.commands import COMMANDS, HELP_COMMAND, Command
from gradcli.errors import ExitStatus, UsageError, printable, quoted
from gradcli.language.suggest import did_you_mean
from gradcli.options.fill import from_words
from gradcli.options.shared import OutputOptions
from gradcli.options.split import without_command
from gradcli.process.fork import End
from gradcli.process.guards import loading_pytorch, silent_streams, stdout_to_stderr
from gradcli.process.signals import EndedBySignal, die, held
from gradcli.process.worker import Limits, Progress, death, run_in_worker
from gradcli.world import World

HELP = ("-h", "--help")
_SERVER_MODES = ("", "off", "auto")
"""The values of GRADCLI_SERVER. Help ignores the variable, because help lists its values."""


@dataclass(frozen=True)
class Invocation:
    """One call, checked as far as possible without PyTorch; `read_stdin` reads once."""

    command: Command
    request: Any
    shown: OutputOptions
    read_stdin: Callable[[], str]


def run(arguments: Sequence[str], world: World, here: Progress | None = None) -> int:
    """Run one call and return its exit status; a signal that ends it ends this process too.

    `here` is given if this process is already a worker that another one supervises.
    """
    return _reported(arguments, world, lambda: _run(arguments, world, here))


def worker_died(arguments: Sequence[str], world: World, signum: int, where: tuple[int, int]) -> int:
    """Report that the worker of this call, forked by the server, died; return the exit status."""

    def report_death() -> int:
        end = End(signum, where)
        if isinstance(ended := death(end, Limits(0)), EndedBySignal):
            raise ended
        call = _read(_command(arguments), arguments[1:], world)
        raise death(end, _limits(call.request))

    return _reported(arguments, world, report_death)


def _reported(arguments: Sequence[str], world: World, action: Callable[[], int]) -> int:
    """The exit status of `action`, or of its error, which is drawn on stderr."""
    command = arguments[0] if arguments and arguments[0] in COMMANDS else ""
    try:
        return action()
    except EndedBySignal as ended:
        return die(ended.signum)
    except Exception as error:
        return report(error, world, command)


def _run(arguments: Sequence[str], world: World, here: Progress | None) -> int:
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    if not arguments or arguments[0] == HELP_COMMAND or any(word in HELP for word in options):
        return world.put_text(_help(arguments, world))
    command = _command(arguments)
    if (mode := world.environ.get("GRADCLI_SERVER", "")) not in _SERVER_MODES:
        hint = "set it to off (never use a server) or auto (start one), or unset it"
        raise UsageError(f"GRADCLI_SERVER is {quoted(mode)!r}", hint=hint)
    call = _read(command, arguments[1:], world)
    gc.enable()
    page = command.page(call.request, call.shown, world, call.read_stdin) if command.page else None
    if callable(page):
        # The server, which other calls do without.
        from gradcli.cli.session_calls import making_calls

        with making_calls(world) as calls:
            return page(calls)
    if isinstance(page, int):
        if getattr(call.request, "loads_pytorch", False):
            successor = Successor(world, quiet=call.shown.quiet)
            successor.fork()
            successor.tell()
        return page
    return _supervise(call, world, here) if page is None else _put(page, call.shown.out, world)


def _put(page: str, out: str | None, world: World) -> int:
    """Write a page to standard output, or to the file of --out."""
    if out is None:
        return world.put_text(page)
    from gradcli.cli.outfile import OutFile  # tempfile, which only files need

    with held(), OutFile(out) as file:
        with open(file.temporary, "w", encoding="utf-8") as written:
            written.write(page)
        file.put_in_place()
    return world.put_text(f"wrote {printable(out)}\n")


def _help(arguments: Sequence[str], world: World) -> str:
    """The first screen, the whole help, or that of a command."""
    words = [word for word in arguments if word not in HELP][arguments[:1] == [HELP_COMMAND] :]
    command = _command(words) if words else None
    if len(words) > 1 and arguments[0] == HELP_COMMAND:
        raise UsageError("help takes the name of one command", hint=f"gradcli help {words[0]}")
    from gradcli.cli import help  # rich, which errors do without

    if command:
        return help.of(command, world)
    return help.root(world) if arguments else help.first(world)


def _read(command: Command, arguments: Sequence[str], world: World) -> Invocation:
    """The call that the words make."""
    from gradcli.cli import words  # Typer, which help does without

    bare, given = words.parse(command, arguments)
    request = from_words(command.request, bare, given)
    shown = from_words(OutputOptions, [], given)
    shown.check_with(request)
    return Invocation(command, request, shown, cache(world.read_stdin))


def _command(words: Sequence[str]) -> Command:
    """The command that the first word names.

    Raises UsageError if there is none, with a hint also for a function or a formula.
    """
    name = words[0]
    if name in COMMANDS:
        return COMMANDS[name]
    known: Collection[str] = [HELP_COMMAND, *COMMANDS]
    if name.startswith("-"):
        if name[:2] == "--" and name[2:].partition("=")[0] in vars(OutputOptions()):
            hint = f"gradcli COMMAND ... {name[:80]}"
            raise UsageError(f"{name[:80]} must come after a command", hint=hint)
        known = [*HELP, "--version"]
    what = "option" if name.startswith("-") else "command"
    hint = did_you_mean(name, known) or (without_command(words) if what == "command" else "")
    hint = hint or "gradcli help lists the commands"
    raise UsageError(f"there is no {what} {name[:80]!r}", hint=hint)


def _supervise(call: Invocation, world: World, here: Progress | None) -> int:
    """Let a worker compute and show; a file is put in place here, once it is complete."""
    limits = _limits(call.request)
    if call.shown.out is None:
        if here is None:
            return run_in_worker(lambda progress: _work(call, world, progress, ""), limits)
        here.begin()
        return _work(call, world, here, "")
    from gradcli.cli.outfile import OutFile  # tempfile, which only files need

    with held(), OutFile(call.shown.out) as file:
        path = file.temporary
        status = run_in_worker(lambda progress: _work(call, world, progress, path), limits)
        if status in (ExitStatus.OK, ExitStatus.FAILED):
            file.put_in_place()
    return status


def _limits(request: Any) -> Limits:
    return Limits(request.timeout, request.typed, request.timed, request.program)


def _work(call: Invocation, world: World, progress: Progress, temporary: str) -> int:
    """Compute and show a valid request, in the worker; the exit status."""
    successor = Successor(world, quiet=call.shown.quiet)
    try:
        content, status = _answer(call, world, progress, temporary, successor)
        status = world.put(content) or status
    except (Exception, SystemExit) as error:  # a library may raise SystemExit
        status = report(error, world, call.command.name)
    successor.tell()
    return status


def _answer(
    call: Invocation, world: World, progress: Progress, temporary: str, successor: Successor
) -> tuple[bytes, int]:
    """The bytes for standard output, and the exit status; notes go to stderr, `--out` into the
    temporary file.
    """
    # The language of expressions, which help and usage errors do without.
    from gradcli.options.check import check

    checked = check(call.request, call.read_stdin)
    request, users = call.request, call.request.runs_user_code
    with Loading(world, quiet=call.shown.quiet):
        compute, show = _load_pytorch(whole=users)
    if not users:
        successor.fork()
    seconds = request.timeout
    progress.computing(seconds, limit_memory=not users and request.device.startswith("cpu"))
    with Steps(world, quiet=call.shown.quiet) as steps, _streams(request, call.shown):

        def begin_step(number: int, total: int) -> None:
            progress.step(seconds)
            steps(number, total)

        result = compute(checked, lambda step, _: progress.at(step.span), begin_step)
    progress.showing()
    content, remarks = show(request, result, call.shown, world, temporary)
    progress.shown()
    world.tell(remarks)
    return content, ExitStatus.FAILED if result.ok is False else ExitStatus.OK


def _streams(request: Any, shown: OutputOptions) -> AbstractContextManager[None]:
    """Where the streams go while a request is computed: nothing but the user's code prints."""
    if not request.runs_user_code:
        return silent_streams()
    result_alone = shown.json or shown.get is not None or bool(shown.markup)
    return nullcontext() if request.prints_through and not result_alone else stdout_to_stderr()


def _load_pytorch(*, whole: bool) -> tuple[Callable[..., Any], Callable[..., tuple[bytes, str]]]:
    """What computes and what shows.

    Collecting garbage during loading costs an eighth of the time and finds none.
    """
    gc.disable()
    with loading_pytorch(whole=whole):
        from gradcli.commands.dispatch import compute
        from gradcli.commands.forms import show
    gc.enable()
    return compute, show
