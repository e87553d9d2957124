"""Plans: jobs of one form differ only in their numbers, so what else they need is made once.

The form of a job is its keys, texts and settings, and the shapes of its tensors. Its plan holds the
checked request and, for a command with a `straight.py`, a shorter way to the result. Whatever that
way does not cover is computed in the ordinary way, which words every error.
"""

from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any, NamedTuple

import orjson

from gradcli.commands import COMMANDS
from gradcli.commands.batch.jobs import JOBS
from gradcli.errors import GradcliError
from gradcli.language.limits import PROGRAMS
from gradcli.language.literals.constructors import Made
from gradcli.language.literals.literal import Literal, Numbers
from gradcli.options.check import CheckedRequest, outside
from gradcli.options.fields import TENSOR, options
from gradcli.options.inputs import INPUTS
from gradcli.results import Result


class Form(NamedTuple):
    """A job without its id: what its plan may rely on, and the fields that hold its literals."""

    key: tuple[object, ...]
    fields: Mapping[str, Any]


_KINDS = {
    command: {
        name: option.kind
        for name, option in options(request).items()
        if option.kind in (TENSOR, INPUTS)
    }
    for command, request in JOBS.items()
}
"""The fields of each command that hold literals."""


def form_of(job: Mapping[str, Any]) -> Form | None:
    """The form of a job; None for one with an error in a literal, or that names a file there."""
    command = job.get("command")
    if not isinstance(command, str) or (kinds := _KINDS.get(command)) is None:
        return None
    key: list[object] = []
    fields: dict[str, Any] = {}
    try:
        for name, value in job.items():
            if kind := kinds.get(name):
                fields[name] = read = kind.from_json(value, name)
                key.append(name)
                if kind is TENSOR:
                    key += _shape(read)
                else:
                    for item in read:
                        key += (item.name, *_shape(item.literal))
            elif name != "id":
                key += (name, value if type(value) is str else orjson.dumps(value))
    except (GradcliError, TypeError):
        return None
    return Form(tuple(key), fields)


def _shape(literal: Literal) -> tuple[object, object]:
    """A literal without its numbers. Raises TypeError for a file and for standard input."""
    if isinstance(literal, Numbers):
        return literal.shape, literal.dtype
    if isinstance(literal, Made):
        return literal.source.text, None
    raise TypeError


Straight = Callable[[Any], Any]
"""From a request to its result as a tree of JSON; None if the ordinary way must be taken."""

_STRAIGHT: Mapping[str, Callable[[CheckedRequest, Any], Straight | None]] = {
    command: import_module(path).straight
    for command in JOBS
    if find_spec(path := f"{COMMANDS[command].folder}.straight")
}
"""Makes the straight way of a request that has had a result, if there is one."""


class Plan:
    """What the jobs of one form share: the checked request, and perhaps a straight way."""

    def __init__(self, checked: CheckedRequest, way: Straight | None) -> None:
        self._checked = checked
        self._way = way

    def fill(self, form: Form) -> CheckedRequest:
        """The checked request of a job of this form."""
        request, programs, read_stdin = self._checked
        made = object.__new__(type(request))
        vars(made).update(vars(request))
        vars(made).update(form.fields)
        return CheckedRequest(made, programs, read_stdin)

    def straight(self, request: Any) -> Any:
        """The result of a request as a tree of JSON; None if the ordinary way must be taken."""
        try:
            return self._way and self._way(request)
        except Exception:
            return None


class Plans:
    """The plans of the last forms; one is made when its form is met for the second time."""

    def __init__(self) -> None:
        self._known: dict[tuple[object, ...], Plan | None] = {}

    def get(self, form: Form | None) -> Plan | None:
        """The plan of a form; None if there is none."""
        return self._known.get(form.key) if form else None

    def learn(self, form: Form | None, checked: CheckedRequest, result: Result) -> None:
        """Remember the form of a job that was computed in the ordinary way."""
        if form is None or any(map(_varies, outside(checked.request))):
            return
        if form.key not in self._known:
            if len(self._known) == PROGRAMS:
                del self._known[next(iter(self._known))]
            self._known[form.key] = None
        elif self._known[form.key] is None:
            make = _STRAIGHT.get(result.command)
            self._known[form.key] = Plan(checked, make(checked, result) if make else None)


def _varies(literal: Literal | None) -> bool:
    """Whether a value is not in the job itself, but in a file."""
    return not isinstance(literal, Numbers | Made | None)
