"""From a job of a batch to its checked request, or the error that says what is wrong with it."""

from collections.abc import Mapping
from typing import Any

from gradcli.commands import COMMANDS
from gradcli.errors import UsageError
from gradcli.language.suggest import did_you_mean
from gradcli.options.check import CheckedRequest, check
from gradcli.options.fill import from_json
from gradcli.options.shared import ComputeOptions

_REQUESTS = {name: command.request for name, command in sorted(COMMANDS.items())}
JOBS = {
    name: request
    for name, request in _REQUESTS.items()
    if issubclass(request, ComputeOptions) and not request.pictures
}
"""The commands that a job may name, and their requests: those that compute and do not draw."""


def request_of(job: Mapping[str, Any], *, allow_files: bool) -> CheckedRequest:
    """The checked request of a job.

    Raises GradcliError for whatever is wrong with it.
    """
    name = job.get("command")
    if not isinstance(name, str) or name not in JOBS:
        unknown = f"a batch has no command {str(name)[:40]!r}"
        message = "command is missing" if name is None else unknown
        hint = did_you_mean(str(name), JOBS) or f"commands: {', '.join(JOBS)}"
        raise UsageError(message, hint=hint)
    fields = {key: value for key, value in job.items() if key not in ("id", "command")}
    return check(from_json(JOBS[name], fields), _no_stdin, allow_files=allow_files)


def _no_stdin() -> str:
    raise UsageError("a job cannot read standard input", hint="write the numbers into the job")
