"""`server` on the command line: start, stop, and status in a line or as JSON."""

import json
from collections.abc import Callable
from typing import Any

from gradcli.commands.server.request import Server
from gradcli.errors import ExitStatus, UsageError
from gradcli.options.shared import OutputOptions
from gradcli.process import control
from gradcli.world import World


def page(request: Server, shown: OutputOptions, world: World, read_stdin: Callable[[], str]) -> int:
    """Start or stop the server, or print its status; returns 1 for the status of no server.

    Raises FileError if no server can be started.
    """
    if shown.json and request.action != "status":
        message = f"server {request.action} has no JSON output"
        raise UsageError(message, hint="gradcli server status --json")
    status = ExitStatus.OK
    if request.action == "start":
        idle = control.IDLE if request.idle is None else request.idle
        started, ours = control.start("gradcli.cli.serve", idle)
        line = ("" if ours else "already ") + _description(started)
    elif request.action == "stop":
        line = "stopped" if control.stop() else "no server was running"
    else:
        server = control.status()
        status = ExitStatus.OK if server else ExitStatus.FAILED
        line = _description(server) if server else "not running; gradcli server start starts it"
        if shown.json:
            line = json.dumps(server or {"running": False}, separators=(",", ":"))
    return status if shown.quiet else world.put_text(f"{line}\n") or status


def _description(server: dict[str, Any]) -> str:
    calls = "1 call" if server["calls"] == 1 else f"{server['calls']:,} calls"
    versions = f"gradcli {server['version']}, PyTorch {server['torch']}"
    parts = [
        f"running: process {server['pid']}, {versions}, {calls} so far",
        f"it stops after {_time(server['idle'])} without a call",
    ]
    if not server["fits"]:
        parts.append("it runs another version or environment: gradcli server start replaces it")
    return "; ".join(parts)


def _time(seconds: float) -> str:
    return f"{seconds / 60:g} minutes" if seconds >= 60 else f"{seconds:g} seconds"
