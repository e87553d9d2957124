"""The updates of a descent in numbers: what the optimiser keeps, read from its state, and what its
formulas make of that, compared with the step that PyTorch took.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from itertools import groupby
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor
from torch.optim import LBFGS, Optimizer

from gradcli.catalogue.optimizers import LINES, NAME, PARTS, RECENT, Line
from gradcli.commands.descend.result import Update, UpdateLine
from gradcli.errors import ExpressionError
from gradcli.evaluate.job import default_dtype
from gradcli.evaluate.machine import assigned
from gradcli.language.expressions import expression
from gradcli.language.source import Source

State: TypeAlias = dict[str, Any]
"""Tensors, numbers and lists of them by name."""
_MUON_COPIES = tuple(map(int, torch.__version__.split(".")[:2])) >= (2, 15)
"""Whether Muon normalises a copy of its buffer, and not the buffer itself if that is bfloat16."""
_ULPS = 16
"""The units in the last place by which rounding may move a number."""


class Updates:
    """Records the steps of an optimiser; `rows` has one update for each step and parameter."""

    def __init__(self, optimizer: Optimizer, live: Mapping[str, Tensor]) -> None:
        self.rows: list[Update] = []
        self._optimizer, self._live = optimizer, live
        self._kind = type(optimizer).__name__
        self.formulas = LINES.get(self._kind.lower())
        """None if they are about another optimiser, or another state, than PyTorch has."""
        self._taken = dict.fromkeys(live, 0)
        self._shared: State = {}
        """The state of LBFGS when it was last read."""

    @contextmanager
    def recording(self, number: int, gradients: Mapping[str, Tensor | None]) -> Iterator[None]:
        """Record the step of this number, taken inside, which fills in the `gradients` at its start.

        Raises AssertionError, a fault of gradcli, if a formula does not give what PyTorch has.
        """
        start, before = _copied(self._live), self._states()
        yield
        at_home = all(leaf.is_cpu for leaf in self._live.values())
        with nullcontext() if at_home else torch.device("cpu"):  # not every device has float64
            after, slopes = self._states(taken=True), _copied(gradients)
            for name, end in _copied(self._live).items():
                self._taken[name] += slopes[name] is not None
                step = _Step(
                    start[name], end, slopes[name], before[name], after[name], self._taken[name]
                )
                lines = self._lines_of(step)
                state = {line.name: line.value for line in lines[1:-1] if line.value is not None}
                update = state.pop("update")
                self.rows.append(Update(number, name, lines[0].value, state, update, tuple(lines)))

    def _states(self, *, taken: bool = False) -> dict[str, State]:
        """A copy of what is kept for each parameter; `taken` says that a step was."""
        state = self._optimizer.state
        if not isinstance(self._optimizer, LBFGS):
            return {name: _copied(state.get(leaf, {})) for name, leaf in self._live.items()}
        shared = _copied(next(iter(state.values()), {}))
        if taken:
            tolerance = self._optimizer.param_groups[0]["tolerance_change"]
            shared |= _moves(self._shared, shared, tolerance)
        self._shared = shared
        # Its tensors are those of all parameters, laid end to end.
        sizes = [leaf.numel() for leaf in self._live.values()]
        parts = torch.arange(sum(sizes), device="cpu").split_with_sizes(sizes)
        return {
            name: {key: _part(value, leaf, part, sum(sizes)) for key, value in shared.items()}
            for (name, leaf), part in zip(self._live.items(), parts, strict=True)
        }

    def _lines_of(self, step: "_Step") -> list[UpdateLine]:
        """The lines of a parameter in one step: its gradient, its state and update, itself."""
        dtype = step.theta.dtype
        lines = [UpdateLine("g", "no gradient", None)]
        if step.gradient is not None:
            gradient = UpdateLine("g", "the gradient", _shown(step.gradient, dtype))
            lines = [gradient, *self._followed(step)]
        update = next((line.value for line in lines if line.name == "update"), None)
        if update is None:
            update = _shown(step.difference, dtype)
            lines.append(UpdateLine("update", "as PyTorch moved theta", update))
        operands: dict[str, Tensor | float] = {"theta": _shown(step.theta, dtype), "update": update}
        return [*lines, UpdateLine("theta", "theta + update", _shown(step.end, dtype), operands)]

    def _followed(self, step: "_Step") -> list[UpdateLine]:
        """The lines by the formulas; what PyTorch keeps if they are about something else.

        They are computed in float64; where PyTorch differs, in the parameter's dtype: a product of
        two small numbers may be 0 there, and Muon computes in bfloat16 on purpose.
        """
        settings = _settings(self._optimizer.param_groups[0], step.theta.dtype)
        if self.formulas is not None:
            try:
                exact = _Follower(step, settings, Tensor.double)
                lines = exact.lines(self.formulas)
                if exact.wrong:
                    rounded = _Follower(step, settings, lambda tensor: tensor)
                    lines = rounded.lines(self.formulas)
                    wrong = ", ".join(exact.wrong & rounded.wrong)
                    assert not wrong, f"{self._kind}, step {step.t}: PyTorch has another {wrong}"
                return lines
            except (KeyError, ExpressionError):  # a state or an argument that PyTorch does not have
                self.formulas = None
        return [
            UpdateLine(name, "kept by PyTorch", _shown(value, step.theta.dtype))
            for name, value in step.after.items()
            if isinstance(value, Tensor | int | float)
        ]


class _Step(NamedTuple):
    """One step of one parameter: its numbers before and after, the gradient at the start, in its
    shape, and what was kept. `t` counts the steps that have a gradient.
    """

    theta: Tensor
    end: Tensor
    gradient: Tensor | None
    before: State
    after: State
    t: int

    @property
    def difference(self) -> Tensor:
        """How far PyTorch moved the parameter, in its shape and float64."""
        return self.end.double() - self.theta.double()

    @property
    def names(self) -> State:
        """The names of formulas besides arguments and what is kept."""
        known: State = {"theta": self.theta, "t": self.t, "ndim": self.theta.ndim}
        known["overwritten"] = self.theta.dtype == torch.bfloat16 and not _MUON_COPIES
        if self.theta.ndim > 1:
            known |= {"rows": self.theta.shape[0], "columns": self.theta.shape[1]}
        if (gradient := self.gradient) is not None:
            known["g"] = gradient.to_dense()
            if gradient.is_sparse:
                known["touched"] = torch.zeros(gradient.shape, dtype=torch.bool)
                known["touched"][tuple(gradient.coalesce().indices())] = True
        return known | {name: self.after[name] for name in _MOVES if name in self.after}


class _Follower:
    """Follows the formulas of one step in one dtype, to which `cast` brings the tensors."""

    def __init__(
        self, step: _Step, settings: Mapping[str, Any], cast: Callable[[Tensor], Tensor]
    ) -> None:
        self.wrong: set[str] = set()
        """The lines that do not give what PyTorch has."""
        self._step, self._cast = step, cast
        self._limits = torch.finfo(step.theta.dtype)
        self._scope: State = dict(settings)
        self._errors: dict[str, Tensor] = {}
        """How far rounding may have moved each tensor."""
        for name, value in step.names.items():
            self._bind(name, value)
        self._plain = {*self._scope}
        """The names that are not computed."""

    def lines(self, lines: Sequence[Line]) -> list[UpdateLine]:
        """What the lines give that apply. Raises KeyError for what PyTorch does not keep."""
        with default_dtype(self._cast(self._step.theta).dtype):
            for line in lines:
                if line.formula and line.kept in self._step.after:
                    self._bind(line.name, self._earlier(line))
            found = []
            for times, group in groupby(lines, lambda line: line.times):
                for line in list(group) * (self._scope[times] if times else 1):
                    if not line.when or self._computed(line.when):
                        found.append(self._line(line))
            return [line for line in found if line is not None]

    def _earlier(self, line: Line) -> Tensor:
        """What PyTorch kept before the step; before the first one the start."""
        kept = self._step.before.get(line.kept)
        if kept is None:
            start = self._scope.get(line.start, line.start)
            kept = torch.full_like(self._step.after[line.kept], float(start))
        return torch.as_tensor(kept)

    def _line(self, line: Line) -> UpdateLine | None:
        """A line that applies; None if it has no formula and nothing is kept yet."""
        dtype = self._step.theta.dtype
        if not line.formula:
            kept = self._step.after.get(line.kept)
            if kept is None or (isinstance(kept, list) and not kept):
                return None
            kept = torch.as_tensor(kept[-1] if isinstance(kept, list) else kept)
            self._bind(line.name, kept)
            return UpdateLine(line.name, line.words, _shown(kept, dtype))
        operands = {name: self._operand(name) for name in self._names(line.formula)}
        value = self._computed(line.formula)
        error = self._error(line.formula, value)
        if line.kept:
            theirs = torch.as_tensor(self._step.after[line.kept]).to_dense()
            self._compare(line, value, theirs, error)
            value, error = theirs, self._rounding(theirs)
        elif line.name == "update":
            value = self._moved(line, value, error)
        self._bind(line.name, value, error)
        return UpdateLine(line.name, line.formula, _shown(value, dtype), operands)

    def _compare(self, line: Line, value: Any, theirs: Tensor, error: Tensor) -> None:
        """Keep in mind that a value is further from PyTorch's than rounding explains."""
        off = (_wide(value) - _wide(theirs)).abs() > error
        if bool((off & theirs.isfinite()).any()):
            self.wrong.add(f"{line.name} = {line.formula}")

    def _moved(self, line: Line, value: Tensor, error: Tensor) -> Tensor:
        """The update; as PyTorch made it, where more than the sum with theta was rounded."""
        theirs, size = self._step.difference, _wide(self._step.theta).abs() + self._step.end.abs()
        self._compare(line, value, theirs, error + _ULPS * self._limits.eps * size)
        near = (_wide(value) - theirs).abs() <= 2 * self._limits.eps * size
        return torch.where(near, value, theirs.to(value.dtype))

    def _computed(self, formula: str, instead: Mapping[str, Any] = MappingProxyType({})) -> Any:
        """The value of a formula or a condition, with some numbers replaced."""
        scope = {name: self._scope[name] for name in self._names(formula)}
        program = expression.parse(Source(f"value = {formula}"), tuple(scope))
        return assigned(program, {**scope, **instead})["value"]

    def _names(self, formula: str) -> list[str]:
        return [name for name in dict.fromkeys(NAME.findall(formula)) if name in self._scope]

    def _error(self, formula: str, value: Any) -> Tensor:
        """How far rounding may move a value: as far as its operands do, one by one, and itself."""
        error = self._rounding(torch.as_tensor(value))
        for name in self._names(formula):
            if name in self._errors:
                moved = self._scope[name] + self._errors[name].to(self._scope[name].dtype)
                error = error + (_wide(self._computed(formula, {name: moved})) - _wide(value)).abs()
        return error

    def _rounding(self, tensor: Tensor) -> Tensor:
        """How far rounding moves the numbers of a tensor, in float64."""
        return _ULPS * self._limits.eps * (_wide(tensor).abs() + self._limits.smallest_normal)

    def _bind(self, name: str, value: Any, error: Tensor | None = None) -> None:
        """Give a name its number; a tensor in our dtype, except for a mask."""
        if isinstance(value, Tensor) and value.is_floating_point():
            value = self._cast(value)
            self._errors[name] = self._rounding(value) if error is None else error
        self._scope[name] = value

    def _operand(self, name: str) -> Tensor | float:
        """A number as the line shows it: those that were computed are rounded like tensors."""
        value = self._scope[name]
        if isinstance(value, Tensor) or name not in self._plain:
            return _shown(value, self._step.theta.dtype)
        return value  # type: ignore[no-any-return]


_MOVES = ("moves", "path", "descends")


def _moves(before: State, after: State, tolerance: float) -> State:
    """The moves of one step of LBFGS: their number, all but the last as `path`, [moves - 1, numbers],
    and whether the last one, too, was made. The number is 0 if LBFGS has not kept all of them.
    """
    moves, kept = after.get("n_iter", 0) - before.get("n_iter", 0), after.get("old_stps", [])
    earlier = {id(move) for move in before.get("old_stps", [])}
    path = [move.cpu() for move in kept if id(move) not in earlier]
    if path and "d" in before and torch.equal(path[0], before["d"] * before["t"]):
        del path[0]  # the last move of the step before
    if not moves or len(path) != moves - 1:
        return {"moves": 0, "descends": False}
    descends = not bool(after["prev_flat_grad"].dot(after["d"]) > -tolerance)
    return {"moves": moves, "descends": descends} | ({"path": torch.stack(path)} if path else {})


def _part(value: Any, leaf: Tensor, part: Tensor, total: int) -> Any:
    """What belongs to one parameter of a tensor [..., total], or of a list of them."""
    if isinstance(value, list):
        return [_part(each, leaf, part, total) for each in value]
    if not isinstance(value, Tensor) or value.shape[-1:] != (total,):
        return value
    return value[..., part].cpu().reshape((*value.shape[:-1], *leaf.shape))


def _copied(state: Mapping[str, Any]) -> State:
    """The same numbers on the CPU, which no step changes: it replaces the tensors in lists."""
    return {
        name: value.detach().clone().cpu() if isinstance(value, Tensor)
        else list(value) if isinstance(value, list) else value
        for name, value in state.items()
    }  # fmt: skip


def _settings(group: Mapping[str, Any], dtype: torch.dtype) -> State:
    """The arguments of an optimiser by the names in its formulas."""
    settings: State = dict.fromkeys(RECENT, False)
    for name, value in group.items():
        named = PARTS.get(name, ()) if isinstance(value, tuple) else (name,)
        parts = value if isinstance(value, tuple) else (value,)
        settings |= zip(named, parts, strict=False)
    if settings.get("eps1", 0) is None:  # Adafactor's default
        settings["eps1"] = torch.finfo(dtype).eps
    return settings


def _wide(value: Any) -> Tensor:
    return torch.as_tensor(value).to_dense().double()


def _shown(value: Any, dtype: torch.dtype) -> Tensor:
    """A tensor or a number as a result has it: dense, in the parameter's dtype, at least float32."""
    tensor = torch.as_tensor(value).detach().to_dense()
    wide = torch.promote_types(dtype, torch.float32)
    return tensor.to(wide) if tensor.is_floating_point() else tensor
