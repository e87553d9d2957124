"""What `why` shows of a mistake, and of a program."""

from dataclasses import dataclass

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
    title: str = aside()
    family: str = aside()
    advice: str = aside()
    """The cure in words alone."""
    in_training: str = aside()
    run_finds: str = aside()
    needs: str = aside()
    """What the programs need that is not here, so that they were not run; empty if they were."""
    made: Demonstration = aside()
    cured: Demonstration = aside()
    same: list[tuple[str, str]] = aside()
    """Names and titles of the mistakes with the same message."""
    neighbours: list[tuple[str, str]] = aside()
    """Names and titles of related mistakes."""


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
    title: str = aside("")


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
