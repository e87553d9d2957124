"""One line of a batch: a JSON job in, one JSON line out, whatever the job holds."""

import json
import math
import os
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from gradcli.commands import COMMANDS
from gradcli.commands.batch.plan import Plans, form_of
from gradcli.commands.dispatch import compute_attached
from gradcli.errors import (
    FAULT,
    GradcliError,
    LiteralError,
    UsageError,
    fault,
    quoted,
    traceback_of,
)
from gradcli.language.suggest import did_you_mean
from gradcli.options.check import CheckedRequest, check
from gradcli.options.fill import from_json
from gradcli.options.shared import ComputeOptions, Question
from gradcli.show.json import encode

JOBS = {
    name: request
    for name, command in sorted(COMMANDS.items())
    if issubclass(request := command.request, ComputeOptions | Question) and request.in_batch
}
"""The commands that a job may name, and their requests."""


def read_job(line: bytes, number: int) -> tuple[dict[str, Any], bytes]:
    """The JSON object in a line, and its id as JSON; `number` is that of the line.

    Raises UsageError if the line is not one JSON object, or its id cannot be written, and
    orjson.JSONDecodeError if orjson cannot read it.
    """
    job = orjson.loads(line)
    if not isinstance(job, dict):
        hint = '{"command": "grad", "fn": "mse", "x": 1, "w": 2}'
        raise UsageError(f"line {number} is not a JSON object", hint=hint)
    try:
        identity = orjson.dumps(job.get("id"))
        if isinstance(job.get("id"), float | list | dict):  # orjson has no integers above 64 bits
            identity = _written(json.loads(line)["id"])
        return job, identity
    except orjson.JSONEncodeError:
        message = f"the id in line {number} is nested too deeply"
        raise UsageError(message, hint="use a number or a string") from None


def _written(identity: Any) -> bytes:
    """An id as JSON, its integers of any size. Raises ValueError for what JSON does not have."""
    text = json.dumps(identity, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode()


def _refused(line: bytes, number: int, why: orjson.JSONDecodeError) -> tuple[bytes, GradcliError]:
    """The id in a line that orjson refuses, if Python finds JSON there, and what is wrong."""
    identity, beyond = b"null", []

    def read(text: str) -> float:
        if math.isinf(float(text)):
            beyond.append(quoted(text, 20))
        return int(text) if text.lstrip("-").isdigit() else float(text)

    def refuse(text: str) -> float:
        raise json.JSONDecodeError("no number of JSON", text, 0)

    try:
        job = json.loads(line.decode(), parse_float=read, parse_int=read, parse_constant=refuse)
        identity = _written(job["id"])
    except UnicodeDecodeError as wrong:
        return identity, UsageError(f"line {number} is not UTF-8 text (byte {wrong.start})")
    except json.JSONDecodeError:
        beyond = []
    except (ValueError, LookupError, TypeError, RecursionError):
        pass  # the object has no id, or one that cannot be written
    if beyond:
        hint = f'write "{"-" * (beyond[0] < "0")}Infinity" if that is meant'
        return identity, LiteralError(f"{beyond[0]} is too large for a 64-bit float", hint=hint)
    what = "text" if "surrogate" in why.msg else "JSON"
    return identity, UsageError(f"line {number} is not {what} (character {why.pos + 1}: {why.msg})")


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


def answer(
    line: bytes, number: int, begin: Callable[[float], None], plans: Plans, *, allow_files: bool
) -> tuple[bytes, bool]:
    """The result line of a job, without a line end, and whether it succeeded.

    It did if it was computed and its checks and expectations hold. `begin` is called with the time
    limit, in seconds, of the job or of its next step.
    """
    identity = b"null"
    try:
        job, identity = read_job(line, number)
        form = form_of(job)
        if form and (plan := plans.get(form)):
            begin(plan.seconds)
            if text := plan.answer(form):
                return _identified(text, identity), True
        checked = request_of(job, allow_files=allow_files)
        seconds = checked.request.timeout
        begin(seconds)
        result = compute_attached(checked, _unrecorded, lambda number, total: begin(seconds))
        plans.learn(form, checked, result)
        return _identified(encode(result), identity), result.ok is not False
    except orjson.JSONDecodeError as refused:
        identity, error = _refused(line, number, refused)
        return failure(identity, error.kind, error.on_one_line), False
    except GradcliError as error:
        return failure(identity, error.kind, error.on_one_line), False
    except MemoryError:
        return failure(identity, "size", "there is not enough memory for this"), False
    except (Exception, SystemExit) as error:  # a library may try to end the process
        return failure(identity, FAULT, fault(error), traceback_of(error, os.environ)), False


def _unrecorded(step: object, operands: object) -> None:
    """Where in an expression a job is: a batch does not record it."""


def _identified(text: bytes, identity: bytes) -> bytes:
    """The JSON of a result with the id of its job, both as JSON."""
    return b'%b,"id":%b}' % (text[:-1], identity)


def failure(identity: bytes, kind: str, message: str, traceback: str = "") -> bytes:
    """The result line of a job that failed."""
    error = {"kind": kind, "message": message}
    if traceback:
        error["traceback"] = traceback
    valid = {name: text.encode("utf-8", "replace").decode() for name, text in error.items()}
    return b'{"id":%b,"error":%b}' % (identity, orjson.dumps(valid))


def _no_stdin() -> str:
    raise UsageError("a job cannot read standard input", hint="write the numbers into the job")
