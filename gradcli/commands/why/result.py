"""What `why` tells of a mistake."""

from dataclasses import dataclass

from gradcli.results import aside, present


@dataclass(frozen=True)
class Demonstration:
    """A program that was really run: what PyTorch said, one line per warning or error, and the
    lines that it printed.
    """

    program: str
    said: list[str]
    printed: list[str]


@dataclass(frozen=True, kw_only=True)
class WhyResult:
    """A mistake, made and cured. `error` is what PyTorch said, or the wrong number that it printed
    in silence.
    """

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
    made: Demonstration = aside()
    cured: Demonstration = aside()
    same: list[tuple[str, str]] = aside()
    """Name and title of the mistakes of which PyTorch says the same."""
    neighbours: list[tuple[str, str]] = aside()
    """Name and title of others to look at."""
