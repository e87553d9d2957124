"""`server`: the process that keeps PyTorch loaded, so that a call takes hundredths of a second."""

import re
from dataclasses import dataclass

from gradcli.errors import UsageError
from gradcli.language.source import Source
from gradcli.language.suggest import did_you_mean
from gradcli.options.fields import ValueKind, argument, option

ACTIONS = ("start", "stop", "status")
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)\s*([smh]?)", re.ASCII)


def _seconds(source: Source) -> float:
    """A time in its unit, or else in minutes, as seconds."""
    match = _DURATION.fullmatch(source.text.strip())
    seconds = float(match[1]) * _UNITS[match[2] or "m"] if match else 0.0
    if not 0 < seconds < 1e9:
        hint = "minutes, or a number with s, m or h: 45, 90s, 2h"
        raise UsageError("expected a time", span=source.whole, hint=hint)
    return seconds


ACTION = ValueKind("|".join(ACTIONS), lambda source: source.text, hints=ACTIONS)
DURATION = ValueKind("TIME", _seconds)


@dataclass(frozen=True, kw_only=True)
class Server:
    """Keep PyTorch loaded: after `gradcli server start` every call takes hundredths of a second."""

    action: str = argument(
        ACTION, "start it, stop it, or show whether it is running (exit status 1 if not)"
    )
    idle: float | None = option(
        DURATION, "stop after this time without a call: 45 (minutes), 90s, 2h", None, shown="30"
    )

    def __post_init__(self) -> None:
        if self.action not in ACTIONS:
            hint = did_you_mean(self.action, ACTIONS) or "start, stop or status"
            raise UsageError(f"there is no server action {self.action[:40]!r}", hint=hint)
        if self.idle is not None and self.action != "start":
            message = f"--idle cannot be used with server {self.action}"
            raise UsageError(message, hint="gradcli server start --idle 45")
