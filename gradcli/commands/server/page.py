"""`server` on the command line: start, stop and status, in a line or as JSON."""

import json
from collections.abc import Callable
from typing import Any

from gradcli.commands.server.request import Server
from gradcli.errors import ExitStatus, UsageError
from gradcli.options.shared import OutputOptions
from gradcli.process import control
from gradcli.world import World


def page(request: Server, shown: OutputOptions, world: World, read_stdin: Callable[[], str]) -> int:
    """Do what is asked for; 1 where the status is asked for and there is no server.

    Raises FileError where no server can be started.
    """
    if shown.json and request.action != "status":
        raise UsageError(
            f"server {request.action} has no JSON output", hint="gradcli server status --json"
        )
    line, status = _ACTIONS[request.action](request, shown)
    if not shown.quiet:
        return world.put_text(f"{line}\n") or status
    return status


def _start(request: Server, shown: OutputOptions) -> tuple[str, int]:
    found, ours = control.start(
        "gradcli.cli.serve", control.IDLE if request.idle is None else request.idle
    )
    return ("" if ours else "already ") + _told(found), ExitStatus.OK


def _stop(request: Server, shown: OutputOptions) -> tuple[str, int]:
    return ("stopped" if control.stop() else "no server was running"), ExitStatus.OK


def _status(request: Server, shown: OutputOptions) -> tuple[str, int]:
    found = control.status()
    status = ExitStatus.OK if found else ExitStatus.FAILED
    if shown.json:
        return json.dumps(found or {"running": False}, separators=(",", ":")), status
    return (_told(found) if found else "not running; gradcli server start starts it"), status


_ACTIONS: dict[str, Callable[[Server, OutputOptions], tuple[str, int]]] = {
    "start": _start,
    "stop": _stop,
    "status": _status,
}


def _told(found: dict[str, Any]) -> str:
    calls = "1 call" if found["calls"] == 1 else f"{found['calls']:,} calls"
    text = (
        f"running: process {found['pid']}, gradcli {found['version']}, PyTorch {found['torch']}, {calls} so far; "
        f"it stops after {_time(found['idle'])} without a call"
    )
    return (
        text
        if found["fits"]
        else f"{text}; it runs another version or environment: gradcli server start replaces it"
    )


def _time(seconds: float) -> str:
    return f"{seconds / 60:g} minutes" if seconds >= 60 else f"{seconds:g} seconds"
