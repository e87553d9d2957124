"""Help, drawn from the requests' own descriptions by rich's table alone; it needs neither Typer nor
PyTorch.
"""

import sys
from dataclasses import MISSING

from gradcli.commands import COMMANDS, HELP_COMMAND, PANELS, ROOT_OPTIONS, Command
from gradcli.options.fields import Option, flag_name, options
from gradcli.page import HelpPage
from gradcli.world import World

INTRODUCTION = (
    "A gradient explorer for the shell: the values, gradients and Jacobians that PyTorch computes."
)

FIRST = (
    ("gradcli grad --fn mse --x 1 --w 2", "a loss and its gradients"),
    ("gradcli grad '(w*x - 1)**2' x=1 w=2", "any PyTorch formula"),
    ("gradcli grad '(w*x - 1)**2' x=1 w=2 --explain", "the chain rule in numbers"),
    ("gradcli grad '(w*x - 1)**2' x=1 w=2 --expect w=4", "is my answer right?"),
    ("gradcli activate sigmoid relu x=-2,0,2", "values and derivatives"),
    ("gradcli jacobian 'softmax(x)' x=2,1,0.1", "a whole Jacobian"),
    ("gradcli plot 'x*sigmoid(x)' x=-6,6", "a curve and its slope"),
    ("python train.py 2>&1 | gradcli why", "what an error means"),
    ("gradcli server start", "later calls take 0.03 s"),
)
"""What the first screen shows: what most people try first, one line each."""

ENVIRONMENT = (
    ("NO_COLOR, FORCE_COLOR", "no colour; colour in a pipe too"),
    ("COLUMNS, LINES", "the screen size for tables and pictures"),
    ("GRADCLI_SERVER", "off: never use the server; auto: start it after the first call"),
    ("GRADCLI_DEBUG", "1: an internal error shows its full traceback"),
)
"""The variables that every command obeys."""


def _ending(page: HelpPage, documentation: str) -> None:
    """The variables, and where the documentation is."""
    page.rows("Environment", ENVIRONMENT)
    page.line()
    page.line(f"Documentation: {documentation} in the source of gradcli")


def first(world: World) -> str:
    """What `gradcli` alone shows: one screen of 80 x 24."""
    page = HelpPage(world)
    page.line("gradcli: gradients from the command line, computed by PyTorch")
    page.rows("Try", FIRST)
    page.rows(
        "Commands",
        [
            (panel, " ".join(name for name in COMMANDS if COMMANDS[name].panel == panel))
            for panel in PANELS
        ],
    )
    page.rows(
        "More",
        (
            ("gradcli help", "what each command does"),
            ("gradcli help grad", "one command: its options and examples"),
            ("docs/getting-started.md", "five minutes, in the source of gradcli"),
        ),
    )
    return page.text


def root(world: World) -> str:
    """The help of `gradcli` itself: its commands by panel."""
    page = HelpPage(world)
    page.line("usage: gradcli COMMAND ...")
    page.line()
    page.line(INTRODUCTION)
    page.examples([command.examples[0] for command in COMMANDS.values()][:3])
    for panel in PANELS:
        page.rows(
            panel,
            [
                (command.name, command.summary)
                for command in COMMANDS.values()
                if command.panel == panel
            ],
        )
    page.rows("Help", [(f"{HELP_COMMAND} [COMMAND]", ROOT_OPTIONS["--help"])])
    page.rows(
        "Options",
        [(word.replace("--help", "-h, --help"), meaning) for word, meaning in ROOT_OPTIONS.items()],
    )
    _ending(page, "docs/index.md")
    return page.text


def of(command: Command, world: World) -> str:
    """The help of one command: usage and examples, then every word and option."""
    page = HelpPage(world)
    fields = options(command.request)
    words = [_word(name, option) for name, option in fields.items() if option.positional]
    page.line(" ".join(["usage: gradcli", command.name, *words, "[OPTIONS]"]))
    page.line()
    # Python leaves docstrings out where it is told to; a dataclass then has its signature there.
    said = " ".join((command.request.__doc__ or "").split("\n\n")[0].split())
    page.line(command.summary if sys.flags.optimize > 1 else said)
    page.examples(command.examples)
    own = command.request.__dict__.get("__annotations__", {})
    page.rows(
        "Words",
        [
            (_word(name, option), option.help)
            for name, option in fields.items()
            if option.positional
        ],
    )
    for heading, wanted in (("Options", True), ("Computation", False)):
        rows = [
            _row(n, option)
            for n, option in fields.items()
            if not option.positional and (n in own) is wanted
        ]
        page.rows(heading, rows)
    shown = [_row(name, option) for name, option in command.output.items()]
    page.rows("Output", [*shown, ("-h, --help", "this help")])
    _ending(page, f"docs/commands/{command.name}.md")
    return page.text


def _word(name: str, option: Option) -> str:
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
    """A default in words; what is merely absent has none."""
    if value is MISSING or value is None or value is False or value in ("", ()):
        return ""
    return f"{value:g}" if isinstance(value, float) else str(value)
