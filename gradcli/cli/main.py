"""The way of one call: words, request, result, bytes. The parent goes as far as the request; a
worker does the rest.
"""

import gc
import sys
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from gradcli.cli import hint, report
from gradcli.cli.progress import Loading, Steps
from gradcli.commands import COMMANDS, HELP_COMMAND, Command
from gradcli.errors import ExitStatus, GradcliError, UsageError, printable
from gradcli.language.source import quoted
from gradcli.language.suggest import did_you_mean
from gradcli.options.fill import from_words
from gradcli.options.shared import OutputOptions
from gradcli.options.split import without_command
from gradcli.process.fork import End
from gradcli.process.guards import loading_pytorch, silent_streams
from gradcli.process.signals import EndedBySignal, die, held
from gradcli.process.worker import Limits, Progress, death, run_in_worker
from gradcli.world import World

HELP = ("-h", "--help")
_WISHES = ("", "off", "auto")
"""What GRADCLI_SERVER may be. Help does not look at it: it is where the values are looked up."""


@dataclass(frozen=True)
class Invocation:
    """One call that is valid as far as that can be told without PyTorch. `read_stdin` reads
    once.
    """

    command: Command
    request: Any
    shown: OutputOptions
    read_stdin: Callable[[], str]


def run(arguments: Sequence[str], world: World, here: Progress | None = None) -> int:
    """Do what the words ask for and return the exit status. Where this process is asked to end by a
    signal it dies of that.

    `here` is given where this process is a worker already, which somebody else supervises.
    """
    return _reported(arguments, world, lambda: _run(arguments, world, here))


def worker_died(arguments: Sequence[str], world: World, signum: int, where: tuple[int, int]) -> int:
    """What the parent says and returns when the worker of this call, which the server forked, has
    died at a place.
    """

    def told() -> int:
        end = End(signum, where)
        if isinstance(asked := death(end, Limits(0)), EndedBySignal):
            raise asked
        call = _read(_command(arguments), arguments[1:], world)
        raise death(end, _limits(call.request))

    return _reported(arguments, world, told)


def _reported(arguments: Sequence[str], world: World, action: Callable[[], int]) -> int:
    """The status that `action` returns, or that of its error, which is drawn on stderr here and
    nowhere else.
    """
    command = arguments[0] if arguments and arguments[0] in COMMANDS else ""
    try:
        return action()
    except EndedBySignal as asked:
        return die(asked.signum)
    except Exception as error:
        return _told(error, world, command)


def _told(error: BaseException, world: World, command: str) -> ExitStatus:
    """Say what went wrong; the exit status that it means."""
    shown = error if isinstance(error, GradcliError) else report.shortage(error)
    world.tell(report.draw(shown, world, command) if shown else report.fault(error, world))
    return ExitStatus.BAD_INPUT if shown else ExitStatus.FAULT


def _run(arguments: Sequence[str], world: World, here: Progress | None) -> int:
    words_before_end = arguments[: arguments.index("--")] if "--" in arguments else arguments
    if (
        not arguments
        or arguments[0] in (HELP_COMMAND, *HELP)
        or any(word in HELP for word in words_before_end)
    ):
        return world.put_text(_help(arguments, world))
    command = _command(arguments)
    if (wish := world.environ.get("GRADCLI_SERVER", "")) not in _WISHES:
        hint = "set it to off (never use a server) or auto (start one), or unset it"
        raise UsageError(f"GRADCLI_SERVER is {quoted(wish)!r}", hint=hint)
    call = _read(command, arguments[1:], world)
    gc.enable()
    page = command.page(call.request, call.shown, world, call.read_stdin) if command.page else None
    if isinstance(page, int):
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
    asked = [word for word in arguments if word not in HELP][arguments[:1] == [HELP_COMMAND] :]
    command = _command(asked) if asked else None
    if len(asked) > 1 and arguments[0] == HELP_COMMAND:
        raise UsageError("help takes the name of one command", hint=f"gradcli help {asked[0]}")
    from gradcli.cli import help  # rich, which errors do without

    return (
        help.of(command, world) if command else help.root(world) if arguments else help.first(world)
    )


def _read(command: Command, arguments: Sequence[str], world: World) -> Invocation:
    """The call that the words make."""
    from gradcli.cli import words  # Typer, which help does without

    bare, given = words.parse(command, arguments)
    request = from_words(command.request, bare, given)
    shown = from_words(OutputOptions, [], given)
    shown.check_with(request)
    return Invocation(command, request, shown, _once(world.read_stdin))


def _command(words: Sequence[str]) -> Command:
    """The command that the first word names.

    Raises UsageError where there is none, with the command that was meant: a function's or a
    formula's too.
    """
    name = words[0]
    if name in COMMANDS:
        return COMMANDS[name]
    known: Collection[str] = [HELP_COMMAND, *COMMANDS]
    if name.startswith("-"):
        if name[:2] == "--" and name[2:].partition("=")[0] in vars(OutputOptions()):
            raise UsageError(
                f"{name[:80]} must come after a command", hint=f"gradcli COMMAND ... {name[:80]}"
            )
        known = [*HELP, "--version"]
    what = "option" if name.startswith("-") else "command"
    hint = (
        did_you_mean(name, known)
        or (what == "command" and without_command(words))
        or "gradcli help lists the commands"
    )
    raise UsageError(f"there is no {what} {name[:80]!r}", hint=hint)


def _supervise(call: Invocation, world: World, here: Progress | None) -> int:
    """Let a worker compute and show; what goes into a file is put in place here, once it is
    whole.
    """
    limits = _limits(call.request)
    if call.shown.out is None and here is not None:
        here.begin()
        return _work(call, world, here, "")
    if call.shown.out is None:
        return run_in_worker(lambda progress: _work(call, world, progress, ""), limits)
    from gradcli.cli.outfile import OutFile  # tempfile, which only files need

    with held(), OutFile(call.shown.out) as file:
        status = run_in_worker(
            lambda progress: _work(call, world, progress, file.temporary), limits
        )
        if status in (ExitStatus.OK, ExitStatus.FAILED):
            file.put_in_place()
    return status


def _limits(request: Any) -> Limits:
    return Limits(request.timeout, request.typed, request.timed)


def _work(call: Invocation, world: World, progress: Progress, temporary: str) -> int:
    """The whole way from a valid request to bytes, in the worker."""
    try:
        content, status, loading = _answer(call, world, progress, temporary)
        status = world.put(content) or status
        if loading is not None and not call.shown.quiet:
            hint.remind(world, loading)
    except (Exception, SystemExit) as error:  # the second of a library that would end the process
        return _told(error, world, call.command.name)
    return status


def _answer(
    call: Invocation, world: World, progress: Progress, temporary: str
) -> tuple[bytes, int, float | None]:
    """The bytes for standard output, the exit status, and the seconds of loading PyTorch, None
    where it was there.

    Notes go to stderr, `--out` into the temporary file.
    """
    from gradcli.options.check import (
        check,
    )  # the language of expressions, which help and usage errors do without

    checked = check(call.request, call.read_stdin)
    with Loading(world, quiet=call.shown.quiet):
        compute, show, loading = _load_pytorch()
    seconds = call.request.timeout
    progress.computing(seconds, limit_memory=call.request.device.startswith("cpu"))
    with Steps(world, quiet=call.shown.quiet) as steps, silent_streams():

        def begin_step(number: int, total: int) -> None:
            progress.step(seconds)
            steps(number, total)

        result = compute(checked, lambda step, _: progress.at(step.span), begin_step)
    progress.showing()
    content, remarks = show(call.request, result, call.shown, world, temporary)
    progress.shown()
    world.tell(remarks)
    return content, ExitStatus.FAILED if result.ok is False else ExitStatus.OK, loading


def _load_pytorch() -> tuple[Callable[..., Any], Callable[..., tuple[bytes, str]], float | None]:
    """PyTorch, what shows results, and the seconds that loading them took.

    Looking for garbage while they load costs an eighth of the time and finds none.
    """
    was_there = "torch" in sys.modules
    begun = time.monotonic()
    gc.disable()
    with loading_pytorch():
        from gradcli.commands.dispatch import compute
        from gradcli.commands.forms import show
    gc.enable()
    return compute, show, None if was_there else time.monotonic() - begun


def _once(read: Callable[[], str]) -> Callable[[], str]:
    """`read`, called at most once however often its text is needed."""
    found: list[str] = []

    def reading() -> str:
        if not found:
            found.append(read())
        return found[0]

    return reading
