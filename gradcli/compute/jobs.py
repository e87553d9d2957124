"""One line of a batch: a JSON job in, one JSON line out, whatever the job holds."""

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from gradcli.compute.door import computed
from gradcli.errors import GradcliError, UsageError
from gradcli.evaluate.machine import Before
from gradcli.requests.activate import Activate
from gradcli.requests.check import check
from gradcli.requests.derivatives import Hessian, Jacobian
from gradcli.requests.descend import Descend
from gradcli.requests.fill import from_json
from gradcli.requests.flow import Flow
from gradcli.requests.grad import Grad
from gradcli.requests.loss import Loss
from gradcli.requests.perceptron import Perceptron
from gradcli.requests.shared import Numeric
from gradcli.requests.softmax_jacobian import SoftmaxJacobian
from gradcli.text.source import quoted
from gradcli.text.suggest import did_you_mean

COMMANDS: Mapping[str, type[Numeric]] = {
    "activate": Activate,
    "descend": Descend,
    "flow": Flow,
    "grad": Grad,
    "hessian": Hessian,
    "jacobian": Jacobian,
    "loss": Loss,
    "perceptron": Perceptron,
    "softmax-jacobian": SoftmaxJacobian,
}
"""The commands that a job may name. Those that draw, explain or serve have no place in a batch."""

Encode = Callable[[Any], bytes]


def read_job(line: bytes) -> dict[str, Any]:
    """The JSON object of a line.

    Raises UsageError where the line is not one JSON object.
    """
    try:
        job = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        try:
            line.decode()
        except UnicodeDecodeError as wrong:
            raise UsageError(f"this line is no UTF-8 text (byte {wrong.start})") from None
        raise UsageError(f"this line is no JSON: {error}") from None
    if not isinstance(job, dict):
        raise UsageError("a job is one JSON object", cure='{"command": "grad", "fn": "mse", "x": 1, "w": 2}')
    return job


def identity_of(job: Mapping[str, Any]) -> bytes:
    """The id of a job as its result line has it.

    Raises UsageError where it can be read and not be written.
    """
    try:
        return orjson.dumps(job.get("id"))
    except orjson.JSONEncodeError:
        raise UsageError("the id nests too deep", cure="a number or a text is enough") from None


def request_of(job: Mapping[str, Any], *, allow_files: bool) -> Numeric:
    """The request that a job makes.

    Raises GradcliError for whatever is wrong with it.
    """
    name = job.get("command")
    if not isinstance(name, str) or name not in COMMANDS:
        known = ", ".join(COMMANDS)
        said = "command is missing" if name is None else f"there is no command {str(name)[:40]!r} for a batch"
        raise UsageError(said, cure=did_you_mean(str(name), COMMANDS) or f"commands: {known}")
    fields = {key: value for key, value in job.items() if key not in ("id", "command")}
    request = from_json(COMMANDS[name], fields)
    formula = getattr(request, "expression", None)
    if formula is not None and formula.typed is None and not (allow_files and not formula.from_stdin):
        raise UsageError("a job's expression is its text: files and standard input are refused", cure="--allow-files")
    check(request, _no_stdin, allow_files=allow_files)
    return request


def answer(line: bytes, before: Before, begin: Callable[[float], None], encode: Encode, *, allow_files: bool) -> bytes:
    """The result line of one job, without its line end. `begin` is told the seconds that the job or its next step may take."""
    identity = b"null"
    try:
        job = read_job(line)
        identity = identity_of(job)
        request = request_of(job, allow_files=allow_files)
        begin(request.timeout)
        result = computed(request, _no_stdin, before, lambda number, total: begin(request.timeout))
        return encode((identity, result))
    except GradcliError as error:
        return failure(identity, error.kind, worded(error))
    except Exception as error:
        return failure(
            identity, "math", f"a fault of gradcli itself ({type(error).__name__}: {error}); please report it"
        )


def worded(error: GradcliError) -> str:
    """An error on one line: what is wrong, where, and what to do."""
    label = f"{quoted(error.place.label)}: " if error.place and error.place.label else ""
    cure = error.cure.split("\n")[0]
    return f"{label}{error.message}{f' ({cure})' if cure else ''}"


def failure(identity: bytes, kind: str, message: str) -> bytes:
    """The result line of a job that failed."""
    error = orjson.dumps({"kind": kind, "message": message.encode("utf-8", "replace").decode()})
    return b'{"id":%b,"error":%b}' % (identity, error)


def _no_stdin() -> str:
    raise UsageError("a job cannot read standard input", cure="write the numbers into the job")
