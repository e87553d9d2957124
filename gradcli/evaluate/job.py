"""What every computation shares: dtype and device, tensors from literals, notes."""

import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, TypeAlias, TypeVar

import torch
from torch import Tensor

from gradcli.errors import MathError, UsageError
from gradcli.evaluate import library
from gradcli.evaluate.machine import Before
from gradcli.evaluate.refusals import why_entry
from gradcli.evaluate.tensors import TensorMaker
from gradcli.evaluate.watched import WatchedOp
from gradcli.language.expressions.program import Expression
from gradcli.language.literals.literal import Literal
from gradcli.language.suggest import did_you_mean
from gradcli.options import shared
from gradcli.options.shared import ComputeOptions
from gradcli.results import Inputs, Note, Subject

DTYPES: Mapping[str, torch.dtype] = {name: getattr(torch, name) for name in shared.DTYPES}

BeginStep: TypeAlias = Callable[[int, int], object]
"""Called when a step of training or the like begins, with its number and the total: the time limit
is per step."""


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    """Set PyTorch's default dtype for a while: an expression's `torch.ones(1)` has it."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


_listeners: list[list[warnings.WarningMessage]] = []


@contextmanager
def listening() -> Iterator[list[warnings.WarningMessage]]:
    """Collect all warnings of a while; PyTorch gives many of them only once in a process.

    A process that runs many jobs listens all the time: the filters are then set once, and each job
    starts with an empty list.
    """
    if _listeners:
        _listeners[-1].clear()
        yield _listeners[-1]
        return
    every_time = torch.is_warn_always_enabled()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.set_warn_always(True)
        _listeners.append(caught)
        try:
            yield caught
        finally:
            _listeners.clear()
            torch.set_warn_always(every_time)


def heard() -> list[warnings.WarningMessage] | None:
    """The warnings since the current job began; None in a process that does not listen always."""
    return _listeners[-1] if _listeners else None


@contextmanager
def once_more(dtype: torch.dtype) -> Iterator[None]:
    """Recompute parts of a result in `dtype`, without the warnings, which were collected before."""
    with default_dtype(dtype), warnings.catch_warnings(action="ignore"):
        yield


@contextmanager
def in_float64() -> Iterator[None]:
    """Recompute parts of a job in float64, its casts to the job's dtype too."""
    with library.widened_casts(torch.get_default_dtype()), once_more(torch.float64):
        yield


class Job:
    """One request being computed. Making one seeds PyTorch's generator, once, before the inputs."""

    def __init__(
        self, request: ComputeOptions, read_stdin: Callable[[], str],
        before: Before = lambda step, operands: None,
        begin_step: BeginStep = lambda number, total: None, programs: Sequence[Expression] = (),
    ) -> None:  # fmt: skip
        self.programs, self.read_stdin = programs, read_stdin
        self.before, self.begin_step = before, begin_step
        self.dtype = DTYPES[request.dtype]
        self.device = _CPU if request.device == "cpu" else _device(request.device)
        self.notes: list[Note] = []
        self.modules: list[str] = []
        self.watched: list[WatchedOp] = []
        self.tensor = TensorMaker(self.dtype, self.device, read_stdin)
        self.seed = request.seed
        seed(request.seed, self.device)

    @property
    def program(self) -> Expression:
        """The one expression of the request."""
        (program,) = self.programs
        return program

    def begin_again(self, program: Expression) -> None:
        """Compute another expression instead, from the seed on."""
        self.programs = (program,)
        self.modules.clear()
        seed(self.seed, self.device)

    def number(self, value: float) -> Tensor:
        """A default as a 0-d tensor."""
        return torch.tensor(value, dtype=self.dtype, device=self.device)

    def note(self, code: str, text: str) -> None:
        """Add a note to the result, each note once."""
        if (note := Note(code, text)) not in self.notes:
            self.notes.append(note)

    def wrt(self, names: Sequence[str], inputs: Inputs, default: Sequence[str]) -> list[str]:
        """The inputs, of any shape, to differentiate by, in their order: of --wrt, or the default.

        A module's name means all its parameters. An integer input beside a floating one is left out,
        so its gradient is null. Raises UsageError for a name that is not an input, and MathError if
        there is no floating-point input.
        """
        wanted: list[str] = []
        for name in names:
            meant = [name] if name in inputs else [n for n in inputs if n.startswith(f"{name}.")]
            if not meant:
                known = dict.fromkeys(part for n in inputs for part in (n, n.partition(".")[0]))
                hint = did_you_mean(name, known) or f"the inputs are {', '.join(inputs)}"
                raise UsageError(f"--wrt: there is no input {name!r}", hint=hint)
            wanted += meant
        chosen = wanted or default
        floating = [n for n, tensor in inputs.items() if n in chosen and tensor.is_floating_point()]
        if floating:
            for name in wanted:
                if name not in floating:
                    text = f"{name} is {dtype_name(inputs[name])}: its gradient is null"
                    self.note("integer-input", text)
            return floating
        if not inputs:
            message = "there is no input to differentiate with respect to"
            hint = "give one: gradcli grad 'x**2' x=3"
            raise MathError(message, hint=hint, why_entry="no-grad")
        name = (wanted or list(inputs))[0]
        raise not_floating(name, inputs[name])

    def floating(self, name: str, literal: Literal) -> Tensor:
        """A tensor to differentiate by, in the literal's shape. Raises MathError for integers."""
        tensor = self.tensor(literal)
        if not tensor.is_floating_point():
            raise not_floating(name, tensor)
        return tensor

    def header(
        self, command: str, inputs: Inputs, defaults: list[str] | None = None,
        subjects: Sequence[Subject] = ()
    ) -> dict[str, Any]:  # fmt: skip
        """The fields that every result has; `inputs` may have any shape and dtype."""
        return {
            "command": command, "dtype": str(self.dtype).removeprefix("torch."),
            "inputs": dict(inputs), "defaults": defaults or [], "notes": self.notes,
            "modules": tuple(self.modules), "subjects": tuple(subjects),
        }  # fmt: skip

    @contextmanager
    def surroundings(self) -> Iterator[None]:
        """The job's dtype and device as PyTorch's defaults, and PyTorch's warnings as notes."""
        device = nullcontext() if self.device.type == "cpu" else self.device
        with listening() as caught, device, default_dtype(self.dtype):
            yield
        for warning in caught:
            text = re.sub(r"\s+", " ", str(warning.message)).split(" (Triggered internally")[0]
            note = _warning(text.strip())
            self.note(note.code, note.text)


def not_floating(name: str, tensor: Tensor) -> MathError:
    """The error of an input of any shape that is not floating, and so has no derivative."""
    fact = f"{name} is {dtype_name(tensor)}, and only floating-point inputs have gradients"
    hint = f"write {name} as plain numbers, such as 1,2, which are floats"
    message = f"there is nothing to differentiate: {fact}"
    return MathError(message, hint=hint, why_entry="int-dtype")


def dtype_name(tensor: Tensor) -> str:
    """The dtype of a tensor of any shape without its namespace: `int64`."""
    return str(tensor.dtype).removeprefix("torch.")


def _warning(text: str) -> Note:
    """A warning of PyTorch as a note: PyTorch's words on one line, or ours if they are clearer."""
    pattern = r"target size \(torch\.Size\((.*?)\)\).*input size \(torch\.Size\((.*?)\)\)"
    if sizes := re.search(pattern, text):
        target, pred = (tuple(map(int, re.findall(r"[0-9]+", shape))) for shape in sizes.groups())
        return broadcast(pred, target)
    return Note(why_entry(text) or "pytorch", text)


def broadcast(pred: Sequence[int], target: Sequence[int]) -> Note:
    """The note on a loss whose prediction and target have different shapes."""
    shapes = f"the target has shape {list(target)} and the prediction {list(pred)}"
    advice = f"they broadcast to {together(pred, target)}; reshape one of them"
    return Note("broadcast", f"{shapes}: {advice}")


def together(*shapes: Sequence[int]) -> list[int]:
    """The shape that these shapes broadcast to; torch.broadcast_shapes would load SymPy."""
    number = torch.empty(())
    expanded = (number.expand(list(shape)) for shape in shapes)
    tensors = torch.broadcast_tensors(*expanded)  # type: ignore[no-untyped-call]
    return list(tensors[0].shape)


_CPU = torch.device("cpu")


def _device(name: str) -> torch.device:
    """The device of that name. Raises UsageError if this PyTorch cannot compute on it."""
    kind, _, index = name.partition(":")
    counts = {"cpu": 1, "cuda": torch.cuda.device_count(), "xpu": torch.xpu.device_count()}
    counts["mps"] = int(torch.backends.mps.is_available())
    if int(index or 0) >= counts[kind]:
        devices = [f"{k}:{i}" if i else k for k, count in counts.items() for i in range(count)]
        message = f"{name!r} is not available; this PyTorch has: {', '.join(devices)}"
        raise UsageError(f"--device: {message}", hint="--device cpu")
    return torch.device(name)


def seed(number: int, device: torch.device) -> None:
    """Seed the default generator; on the CPU directly, as torch.manual_seed is slow."""
    if device.type == "cpu":
        torch.default_generator.manual_seed(number)
    else:
        torch.manual_seed(number)


@cache
def _detached(kind: type) -> tuple[str, ...]:
    """The fields of a result that may hold tensors to detach; other types have none."""
    members = fields(kind) if is_dataclass(kind) else ()
    return tuple(f.name for f in members if f.type is not str and not f.metadata.get("as_run"))


T = TypeVar("T")


def detached(value: T) -> T:
    """The same result with every tensor detached and on the CPU."""
    if isinstance(value, Tensor):
        return value.detach().cpu() if value.requires_grad or not value.is_cpu else value  # type: ignore[return-value]
    if not value or isinstance(value, str):
        return value
    if isinstance(value, dict):
        return {name: detached(item) for name, item in value.items()}  # type: ignore[return-value]
    if isinstance(value, tuple):
        return tuple(map(detached, value))  # type: ignore[return-value]
    if isinstance(value, list):
        return list(map(detached, value))  # type: ignore[return-value]
    kind: type = type(value)
    if names := _detached(kind):
        held = vars(value)
        changed = {name: detached(item) for name in names if (item := held[name]) is not None}
        made: T = object.__new__(kind)  # a fifth of what dataclasses.replace takes
        vars(made).update(held | changed)
        return made
    return value
