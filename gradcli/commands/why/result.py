"""What `why` shows of a mistake, and of a program."""

from dataclasses import dataclass

from gradcli.commands.why.request import Entry
from gradcli.results import aside, present


@dataclass(frozen=True)
class Demonstration:
    """A program that was run, its warnings and errors, one line each, and the lines it printed."""

    program: str
    messages: list[str]
    printed: list[str]


@dataclass(frozen=True, kw_only=True)
class WhyResult:
    """A mistake, made and cured; `error` is PyTorch's message, or the output if there is none."""

    name: str
    error: str
    cause: str
    cure: str
    code: str
    related: list[str]
    ok: bool | None = present()
    entry: Entry = aside()
    made: Demonstration = aside()
    cured: Demonstration = aside()


@dataclass(frozen=True)
class Line:
    """Another line of a finding, and what happened there."""

    line: int
    code: str
    text: str
    file: str = aside("")


@dataclass(frozen=True)
class Found:
    """One fault of a program: the entry that explains it, and the line that causes it."""

    entry: str
    file: str
    line: int
    code: str
    text: str
    also: list[Line]

    @property
    def lines(self) -> "list[Found | Line]":
        """All lines of it, the one that causes it first."""
        return [self, *self.also]


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """What was found in a program: `error` is the last line of its traceback, `status` its exit
    status.
    """

    findings: list[Found]
    error: str | None
    status: int
    ok: bool = aside()
    file: str = aside()
    watched: str = aside()
    """How much of it was watched, in words."""
