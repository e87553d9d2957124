"""Plans: jobs of one form differ only in their numbers, so whatever else they need is made once.

The form of a job is its keys, texts and settings, and the shapes of its inputs. A command with a
`straight.py` makes a straight way for it: a function from the inputs to the JSON of the result. A
way that cannot be sure of the result gives none, and the job is computed as any other.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from typing import Any, NamedTuple

import orjson

from gradcli.commands import COMMANDS
from gradcli.errors import GradcliError
from gradcli.language.limits import PROGRAMS
from gradcli.language.literals.literal import plain_shape
from gradcli.options.check import CheckedRequest
from gradcli.options.fields import TENSOR, ValueKind, options
from gradcli.options.inputs import INPUTS
from gradcli.results import Result
from gradcli.show import json

LONGEST = 1_000
"""Characters of the texts of a job that has a plan, at most: the bound on the memory of plans."""

Way = Callable[[Sequence[Any]], bytes | None]
"""From the inputs of a form, as literals or as JSON with a `plain_shape`, to the JSON of the
result; None if the job must be computed as any other. It may raise any exception instead."""


class Form(NamedTuple):
    """A job without its id: `key` is what its plan may rely on, `inputs` are the values of `names`
    as a `Way` takes them.
    """

    key: tuple[object, ...]
    names: list[str]
    inputs: list[Any]


_STRAIGHT: Mapping[str, Callable[[CheckedRequest, Any, Sequence[str]], Way | None]] = {
    name: import_module(path).straight
    for name, command in COMMANDS.items()
    if find_spec(path := f"{command.folder}.straight")
}
"""Makes the way of all requests with inputs of these names that differ from one, of which the
result is known, only in numbers; None if there is none."""

_KINDS: Mapping[str, Mapping[str, ValueKind]] = {
    name: {
        field: option.kind
        for field, option in options(COMMANDS[name].request).items()
        if option.kind in (TENSOR, INPUTS)
    }
    for name in _STRAIGHT
}
"""The fields of each of these commands that hold inputs."""


def form_of(job: Mapping[str, Any]) -> Form | None:
    """The form of a job; None for one that can have no plan, such as one with a random input."""
    command = job.get("command")
    if type(command) is not str or (kinds := _KINDS.get(command)) is None:
        return None
    key: list[object] = []
    names: list[str] = []
    inputs: list[Any] = []
    try:
        for name, value in job.items():
            key.append(name)
            kind = kinds.get(name)
            if kind is TENSOR:
                given = {name: value}
            elif kind is INPUTS:
                given = value
                key.append(len(given))
            elif name == "id":
                continue
            else:
                key.append(value if type(value) is str else orjson.dumps(value))
                continue
            for each, item in given.items():
                shape: object = plain_shape(item)
                if shape is None:
                    item = TENSOR.from_json(item, each)
                    shape = item.shape, item.dtype
                names.append(each)
                key += each, shape
                inputs.append(item)
    except (GradcliError, AttributeError, TypeError):
        return None
    return Form(tuple(key), names, inputs)


class Plan(NamedTuple):
    """The way of a form, and the time limit of its jobs in seconds."""

    way: Way
    seconds: float

    def answer(self, form: Form) -> bytes | None:
        """The JSON of the result of a job; None if the job must be computed as any other."""
        try:
            return self.way(form.inputs)
        except Exception:  # whatever it is, the ordinary computation meets it too and words it
            return None


class Plans:
    """The plans of the last forms; one is made when its form is met for the second time."""

    def __init__(self) -> None:
        self._met: dict[tuple[object, ...], None] = {}
        self._plans: dict[tuple[object, ...], Plan | None] = {}

    def get(self, form: Form | None) -> Plan | None:
        """The plan of a form; None if there is none."""
        return self._plans.get(form.key) if form else None

    def learn(self, form: Form | None, checked: CheckedRequest, result: Result) -> None:
        """Make the plan of a form from a job that was computed as any other.

        It must give the bytes that this job has; otherwise the form gets none.
        """
        if form is None or (key := form.key) in self._plans:
            return
        if any(note.code == "not-a-number" for note in result.notes):
            return
        if key not in self._met:
            if sum(len(part) for part in key if isinstance(part, str | bytes)) <= LONGEST:
                _keep(self._met, key, None)
            return
        del self._met[key]
        plan = None
        with suppress(Exception):  # the job has its result, whatever happens here
            way = _STRAIGHT[result.command](checked, result, form.names)
            if way and way(form.inputs) == json.encode(result):
                plan = Plan(way, checked.request.timeout)
        _keep(self._plans, key, plan)


def _keep(cache: dict[tuple[object, ...], Any], key: tuple[object, ...], value: object) -> None:
    """Add to a cache; the oldest entry makes room."""
    if len(cache) == PROGRAMS:
        del cache[next(iter(cache))]
    cache[key] = value
