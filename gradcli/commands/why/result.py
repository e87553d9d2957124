"""What `why` shows of a mistake."""

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
