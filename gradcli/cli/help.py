"""Help, drawn from the requests' docstrings and fields, without Typer or PyTorch."""

import sys
from dataclasses import MISSING

from gradcli.commands import COMMANDS, HELP_COMMAND, PANELS, ROOT_OPTIONS, Command
from gradcli.options.fields import Option, flag_name, options, own
from gradcli.page import HelpPage
from gradcli.world import World

INTRODUCTION = (
    "A gradient explorer for the shell: the values, gradients and Jacobians that PyTorch computes."
)

FIRST = (
    ("gradcli grad --fn mse --x 1 --w 2", "a loss and its gradients"),
    ("gradcli grad '(w*x - 1)**2' x=1 w=2 --explain", "any formula: the chain rule"),
    ("gradcli grad '(w*x - 1)**2' x=1 w=2 --expect w=4", "is my answer right?"),
    ("gradcli derive 'mse(w*x, y)'", "the gradient as a formula"),
    ("gradcli activate sigmoid relu x=-2,0,2", "values and derivatives"),
    ("gradcli plot 'x*sigmoid(x)' x=-6,6", "a curve and its slope"),
    ("python train.py 2>&1 | gradcli why", "what an error means"),
    ("gradcli server start", "later calls take 0.03 s"),
)
"""What most people try first, for the first screen."""

MORE = (
    ("gradcli help", "what each command does"),
    ("gradcli help grad", "one command: its options and examples"),
    ("docs/getting-started.md", "five minutes, in the source of gradcli"),
)
"""Where to go on from the first screen."""

ENVIRONMENT = (
    ("NO_COLOR, FORCE_COLOR", "no colour; colour in a pipe too"),
    ("COLUMNS, LINES", "the screen size for tables and pictures"),
    ("GRADCLI_SERVER", "off: no server; auto: the first call starts one; unset: on a terminal"),
    ("GRADCLI_DEBUG", "1: an internal error shows its full traceback"),
)
"""The environment variables of every command."""


def _ending(page: HelpPage, documentation: str) -> None:
    """The environment variables, and the place of the documentation."""
    page.rows("Environment", ENVIRONMENT)
    page.line()
    page.line(f"Documentation: {documentation} in the source of gradcli")


def first(world: World) -> str:
    """What `gradcli` alone shows: one screen of 80 x 24."""
    page = HelpPage(world)
    page.line("gradcli: gradients from the command line, computed by PyTorch")
    page.rows("Try", FIRST)
    page.rows("Commands", [(panel, " ".join(_members(panel))) for panel in PANELS])
    page.rows("More", MORE)
    return page.text


def root(world: World) -> str:
    """The help of `gradcli` itself: its commands by panel."""
    page = HelpPage(world)
    page.line("usage: gradcli COMMAND ...")
    page.line()
    page.line(INTRODUCTION)
    page.examples([command.examples[0] for command in COMMANDS.values()][:3])
    for panel in PANELS:
        page.rows(panel, [(name, COMMANDS[name].summary) for name in _members(panel)])
    page.rows("Help", [(f"{HELP_COMMAND} [COMMAND]", ROOT_OPTIONS["--help"])])
    rows = [(word.replace("--help", "-h, --help"), text) for word, text in ROOT_OPTIONS.items()]
    page.rows("Options", rows)
    _ending(page, "docs/index.md")
    return page.text


def of(command: Command, world: World) -> str:
    """The help of one command: usage and examples, then every word and option."""
    page = HelpPage(world)
    fields = options(command.request)
    words = [(_word(option), option.help) for option in fields.values() if option.positional]
    page.line(" ".join(["usage: gradcli", command.name, *(word for word, _ in words), "[OPTIONS]"]))
    page.line()
    # python -OO leaves docstrings out; a dataclass then has its signature there.
    description = " ".join((command.request.__doc__ or "").split("\n\n")[0].split())
    page.line(command.summary if sys.flags.optimize > 1 else description)
    page.examples(command.examples)
    page.rows("Words", words)
    flags = {name: option for name, option in fields.items() if not option.positional}
    its = own(command.request)
    page.rows("Options", [_row(name, flags[name]) for name in flags if name in its])
    page.rows("Computation", [_row(name, flags[name]) for name in flags if name not in its])
    output = [_row(name, option) for name, option in command.output.items()]
    page.rows("Output", [*output, ("-h, --help", "this help")])
    _ending(page, f"docs/commands/{command.name}.md")
    return page.text


def _members(panel: str) -> list[str]:
    """The names of the commands of a panel."""
    return [name for name, command in COMMANDS.items() if command.panel == panel]


def _word(option: Option) -> str:
    text = option.kind.metavar + ("..." if option.many else "")
    return text if option.default is MISSING else f"[{text}]"


def _row(name: str, option: Option) -> tuple[str, str]:
    metavar = "|".join(option.choices) or option.kind.metavar
    text = option.help
    default = option.shown_default or _default(option.default)
    if option.default is MISSING:
        text += " (required)"
    elif default:
        text += f" (default: {default})"
    return f"{flag_name(name)} {metavar}".rstrip(), text


def _default(value: object) -> str:
    """A default as help writes it; empty for None, False, an empty text and an empty tuple."""
    if value is MISSING or value is None or value is False or value in ("", ()):
        return ""
    return f"{value:g}" if isinstance(value, float) else str(value)
