"""Watches what a program does with PyTorch: remembers how its tensors came to be, and tells the
detectors.

Every function of PyTorch that the program calls goes through one TorchFunctionMode. Backward passes
run through `gradcli.core`, and the calls of modules and steps of optimizers through PyTorch's own
global hooks. Nothing is computed differently, and no tensor is kept alive.
"""

import sys
import warnings
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import wraps
from itertools import islice
from types import FrameType
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn, overrides
from torch.nn.modules import module as modules
from torch.optim import Optimizer
from torch.optim import optimizer as optimizers
from torch.optim.lr_scheduler import LRScheduler
from torch.overrides import TorchFunctionMode
from torch.utils import _contextlib as decorators

from gradcli import core
from gradcli.watch import record as records
from gradcli.watch import torch_functions
from gradcli.watch.detector import Call, Detector
from gradcli.watch.finding import Place
from gradcli.watch.operands import RESHAPING, Operand, described
from gradcli.watch.record import KEY, Cut, Left, Made, Pass, Record
from gradcli.watch.torch_functions import DETACHING, FACTORIES, LEAVING, UNRECORDED, Known
from gradcli.watch.user_lines import Places, frames

Args: TypeAlias = tuple[Any, ...]


@dataclass(slots=True)
class Failure:
    """A function that raised an error: its operands, and what was found out at once."""

    error: int
    """The id of the exception."""
    name: str
    place: Place | None
    operands: list[Operand]
    details: dict[str, Any] = field(default_factory=dict)


class Watcher(TorchFunctionMode):
    """The watch over one program; `record` is what it remembers, `failure` the last error."""

    def __init__(
        self, places: Places, detectors: Sequence[Callable[["Watcher"], Detector]]
    ) -> None:
        super().__init__()
        self.places = places
        self.record = Record()
        self.origin = self.record.origin
        """How a tensor was made; None if that was not seen."""
        self.failure: Failure | None = None
        self.failed_backward: Callable[[Sequence[Tensor], Failure, Exception], None] | None = None
        """Called with the roots of a backward pass that failed, and the error."""
        self.grad_off: Place | None = None
        """Where recording was last switched off."""
        self.none_grad: tuple[Made | None, Place | None, dict[str, Any]] | None = None
        """The last read of a grad that was None."""
        self.last_zeroed: Place | None = None
        self.modules: dict[int, Place] = {}
        """Where each module that works in place became part of another one, by its id."""
        self._left_out = False
        """Whether an optimizer's step goes on, whose own functions are not watched."""
        self._functions: dict[Any, Known] = {}
        self.detectors = [make(self) for make in detectors]

    # --- the functions of PyTorch ---------------------------------------------------------------

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Args = (), kwargs: Any = None
    ) -> Any:
        known = self._functions.get(func)
        if known is None:
            known = self._functions[func] = self._learn(func)
        if known.quiet:
            return func(*args, **kwargs) if kwargs else func(*args)
        place = self._now(sys._getframe(1))
        kwargs = kwargs or {}
        if known.special is not None:
            known.special(args, kwargs, place)
        operands = torch_functions.tensors_in(args, kwargs)
        written: Sequence[Tensor] = ()
        if known.writes or "out" in kwargs:
            written = torch_functions.written_by(known.name, args, kwargs, operands)
            before = [records.version_of(tensor) for tensor in written]
        try:
            result = func(*args, **kwargs)
        except Exception as error:
            self._failed(error, known.name, place, operands)
            raise
        if written:
            self._wrote(known.name, written, before, place)
        if isinstance(result, Tensor):
            self._made(result, known.name, operands, place, args)
        elif known.name in LEAVING and operands:
            self._left(known.name, operands[0], result, place)
        elif isinstance(result, (tuple, list)):
            for item in result:
                for each in item if isinstance(item, (tuple, list)) else (item,):
                    if isinstance(each, Tensor):  # the states of an LSTM are a pair in a pair
                        self._made(each, known.name, operands, place, args)
        if known.listeners and place is not None and not _transformed():
            call = Call(known.name, args, kwargs, operands, result, place)
            for listener in known.listeners:
                listener(call)
        return result

    def _now(self, frame: FrameType) -> Place | None:
        """The user's place at or above a frame, where something begins that is watched."""
        place = self.places.here(frame)
        self.record.tick += 1
        if place is not None:
            place.last = self.record.tick
            place.first = place.first or self.record.tick
        return place

    def _tell(self, event: str, *what: Any) -> None:
        """Tell every detector of an event, by the name of its method; what they do is not watched."""
        with torch._C.DisableTorchFunction():
            for detector in self.detectors:
                getattr(detector, event)(*what)

    def _learn(self, func: Callable[..., Any]) -> Known:
        known = Known(func)
        known.listeners = [
            detector.called for detector in self.detectors if known.name in detector.functions
        ]
        special: dict[str, Callable[..., None]] = {
            "_set_grad_enabled": self._grad_switched, ".grad": self._grad_read,
            ".requires_grad=": self._flagged, "requires_grad_": self._flagged,
        }  # fmt: skip
        known.special = special.get(known.name)
        known.quiet = known.quiet and not known.listeners
        return known

    def _made(
        self, tensor: Tensor, name: str, operands: Sequence[Tensor], place: Place | None, args: Args
    ) -> None:
        record = self.record
        same = any(tensor is operand for operand in operands)
        made = Made(name, place, record.tick, tensor)
        if not operands and name in FACTORIES and args:
            made.number = torch_functions.first_number(args[0])
        node = records.node_of(tensor) if tensor.requires_grad else None
        if tensor.requires_grad and (same or node is not None):
            if node is not None and (not same or name.endswith("_")):
                node.metadata[KEY] = made
                for operand in operands:
                    of = record.origin(operand) if operand.is_leaf else None
                    if of is not None and operand.requires_grad:
                        of.used = record.tick
                    elif of is not None and of.cut is not None:
                        record.used.add((id(of.cut.place), of.cut.name))
                if name in RESHAPING and operands[0] is not tensor:
                    parent = record.origin(operands[0])
                    made.come_from([parent] if parent else [])
            return
        parents = []
        for operand in operands:
            if operand is tensor:
                continue
            if operand.requires_grad:
                if made.cut is None:
                    made.cut = self._cut(made, operand)
                elif made.cut.kind in UNRECORDED and operand.is_leaf:
                    made.cut.leaves.add(id(operand))
            elif (parent := record.origin(operand)) is not None:
                parents.append(parent)
                if made.cut is None and not torch_functions.is_independent(name):
                    made.cut = parent.cut
        if same and made.cut is None:
            return  # what was written to it, or returned unchanged, has no graph either
        made.come_from(parents)
        record.keep(tensor, made)

    def _cut(self, made: Made, operand: Tensor) -> Cut | None:
        """Where the graph of `operand` was lost in the result of a function; None if the result does
        not depend on its values.
        """
        name, place = made.name, made.place
        if name == ".grad":
            place = self.record.passes[-1].place if self.record.passes else place
        elif torch_functions.is_independent(name):
            return None
        kind, off = (DETACHING[name], None) if name in DETACHING else self._unrecorded()
        earlier = self.record.cuts.get((id(place), name))
        leaves = earlier.leaves if earlier else _ids_of_leaves(operand)
        cut = Cut(kind, name, place, made.tick, records.shape_of(operand), off, leaves)
        self.record.cuts[id(place), name] = cut
        return cut

    def _unrecorded(self) -> tuple[str, Place | None]:
        """Why a function recorded nothing, and where recording was switched off, if it was: in a
        block, or in a reentrant checkpoint.
        """
        if torch.is_inference_mode_enabled():
            return "inference-mode", self.grad_off
        if torch.is_grad_enabled():
            return "not-differentiable", None
        for frame in frames(sys._getframe(3)):
            module = frame.f_globals.get("__name__")
            if module == "torch.utils.checkpoint" and frame.f_code.co_name == "forward":
                return "checkpoint-inputs", self.places.here(frame)
        return "no-grad-block", self.grad_off

    def _left(self, name: str, tensor: Tensor, result: Any, place: Place | None) -> None:
        made = None if tensor.requires_grad else self.origin(tensor)
        cut = made.cut if made else None
        if tensor.requires_grad or cut:
            number = torch_functions.first_number(result)
            shape = records.shape_of(tensor)
            left = Left(name, place, self.record.tick, shape, number, cut)
            self.record.left.append(left)
            if place is not None and left.key not in self.record.exits:
                cut = cut or Cut(
                    left.kind, left.function, place, left.tick, shape, None, _ids_of_leaves(tensor)
                )
                self.record.exits[left.key] = place, cut

    def _wrote(
        self, name: str, written: Sequence[Tensor], before: Sequence[int], place: Place | None
    ) -> None:
        for tensor, version in zip(written, before, strict=True):
            if self.record.wrote(tensor, version, name, place):
                self.record.writes[-1].module = self._module()
            for detector in () if _transformed() else self.detectors:
                detector.wrote(tensor, name, version, place)

    def _module(self) -> Place | None:
        """Where the module of PyTorch that writes in place was made."""
        for frame in frames(sys._getframe(3)) if self.modules else ():
            if self.places.users(frame.f_code.co_filename):
                break
            if (place := self.modules.get(id(frame.f_locals.get("self")))) is not None:
                return place
        return None

    def _failed(
        self, error: Exception, name: str, place: Place | None, operands: Sequence[Tensor]
    ) -> None:
        if self.failure is not None and self.failure.error == id(error):
            return  # the innermost function says most
        given = described(operands, self.origin, sys._getframe(2), self.places)
        self.failure = Failure(id(error), name, place, given)

    # --- what some functions mean ---------------------------------------------------------------

    def _grad_switched(self, args: Args, kwargs: Any, place: Place | None) -> None:
        if args and not args[0] and torch.is_grad_enabled():
            self.grad_off = self._decorated(place)

    def _decorated(self, place: Place | None) -> Place | None:
        """The decorated function's own line, if a decorator switches recording off."""
        for frame in islice(frames(sys._getframe(2)), 6):
            if frame.f_code.co_filename == decorators.__file__:
                function = frame.f_locals.get("func")
                code = getattr(function, "__code__", None)
                if code is not None and self.places.users(code.co_filename):
                    return Place(code.co_filename, code.co_firstlineno, code)
        return place

    def _inferring(self, enter: Callable[..., Any], args: Args, kwargs: Any) -> Any:
        """Enter torch.inference_mode, which no function shows."""
        self.grad_off = self._decorated(self.places.here(sys._getframe(2)))
        return enter(*args, **kwargs)

    def _grad_read(self, args: Args, kwargs: Any, place: Place | None) -> None:
        tensor = args[0]
        if (tensor.is_leaf or tensor.retains_grad) and tensor.grad is not None:
            return
        about = {"is_leaf": tensor.is_leaf, "requires_grad": tensor.requires_grad, "id": id(tensor)}
        self.none_grad = self.origin(tensor), place, about

    def _flagged(self, args: Args, kwargs: Any, place: Place | None) -> None:
        tensor = args[0]
        made = self.origin(tensor)
        if made is None:
            made = Made("", None, self.record.tick, tensor)
            self.record.keep(tensor, made)
        made.flag = place
        made.flagged = bool(args[1] if len(args) > 1 else kwargs.get("requires_grad", True))

    # --- backward, modules, optimizers ----------------------------------------------------------

    def _backward(
        self, run: Callable[[], Any], roots: Sequence[Any], inputs: Sequence[Any], *, fills: bool
    ) -> Any:
        """Run a backward pass, watched: hooks and custom functions are the user's code."""
        if _transformed():
            return run()
        place = self._now(sys._getframe(2))
        tick = self.record.tick
        tensors = [root for root in roots if isinstance(root, Tensor)]
        leaves = [leaf for leaf in inputs if isinstance(leaf, Tensor)]
        self._tell("before_backward", tensors, leaves, place)
        try:
            with self._watch():
                result = run()
        except Exception as error:
            with torch._C.DisableTorchFunction():
                self._failed(error, "backward", place, tensors)
                assert self.failure
                if self.failed_backward:
                    self.failed_backward(tensors, self.failure, error)
            raise
        self.record.backward_passes += 1
        roots_made = [made.tick for root in tensors if (made := self.origin(root))]
        refs = [weakref.ref(root) for root in tensors]
        self.record.passes.append(Pass(place, tick, fills, roots_made, refs))
        self._tell("after_backward", tensors, leaves, place)
        return result

    def _is_innermost(self) -> bool:
        """Whether the functions that are called now go through this mode first."""
        return _modes()[-1:] == [self]

    def _watch(self) -> AbstractContextManager[object]:
        """A context in which functions go through this mode: once, if they do so already."""
        return nullcontext() if self in _modes() else self

    def _stepping_begins(
        self, optimizer: Optimizer, args: Args, kwargs: dict[str, Any]
    ) -> tuple[Args, dict[str, Any]]:
        self._tell("stepping", optimizer, self._now(sys._getframe(1)))
        self._versions = [*map(records.version_of, records.parameters_of(optimizer))]
        self._leave()
        return tuple(map(self._watched, args)), {k: self._watched(v) for k, v in kwargs.items()}

    def _leave(self) -> None:
        """Let the functions of a step pass by: there are many, and they are not the user's."""
        if self._is_innermost():
            torch._C._pop_torch_function_stack()
            self._left_out = True

    def _come_back(self) -> None:
        """Watch again after a step."""
        if self._left_out:
            self._left_out = False
            torch._C._push_on_torch_function_stack(self)

    def _watched(self, argument: Any) -> Any:
        """A closure that an optimizer calls is the user's code, not the optimizer's."""
        if not callable(argument) or isinstance(argument, (Optimizer, type, Tensor)):
            return argument

        @wraps(argument)
        def closure(*args: Any, **kwargs: Any) -> Any:
            with self._watch():
                return argument(*args, **kwargs)

        return closure

    def _stepping_ends(self, optimizer: Optimizer, args: Args, kwargs: dict[str, Any]) -> None:
        self._come_back()
        self.record.steps += 1
        place, parameters = self.places.here(sys._getframe(1)), records.parameters_of(optimizer)
        for parameter, before in zip(parameters, self._versions, strict=False):
            if self.record.wrote(parameter, before, "step", place):
                self.record.writes[-1].stepped = True
        self._tell("stepped", optimizer, place)

    def _zeroing(self, zero_grad: Callable[..., Any], args: Args, kwargs: Any) -> Any:
        """Call zero_grad; what it does to each parameter is not watched."""
        result = self._unwatched(zero_grad)(*args, **kwargs)
        self.last_zeroed = self._now(sys._getframe(2))
        self._tell("zeroed", args[0], self.last_zeroed)
        return result

    def _scheduling(self, step: Callable[..., Any], args: Args, kwargs: Any) -> Any:
        """Step a scheduler. Its constructor does that too, and has counted no step before."""
        if args[0]._step_count:
            self._tell("scheduled", args[0], self.places.here(sys._getframe(2)))
        return step(*args, **kwargs)

    def _giving(self, add: Callable[..., Any], args: Args, kwargs: Any) -> Any:
        """Give an optimizer a group of parameters, as happens when it is made."""
        result = add(*args, **kwargs)
        self._tell("given", args[0], self.places.here(sys._getframe(2)))
        return result

    def _registered(self, module: nn.Module, name: str, parameter: Any) -> None:
        if isinstance(parameter, Tensor):
            with torch._C.DisableTorchFunction():
                earlier = self.origin(parameter)
                place = self.places.here(sys._getframe(1))
                made = Made(earlier.name if earlier else "", place, self.record.tick, parameter)
                made.cut = earlier.cut if earlier else None
                made.owner = f"{type(module).__name__}.{name}"
                if parameter.is_leaf:
                    self.record.keep(parameter, made)

    def _joined(self, module: nn.Module, name: str, part: Any) -> None:
        if getattr(part, "inplace", False) and (place := self.places.here(sys._getframe(1))):
            self.modules[id(part)] = place

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch this thread in this context. All that was changed of PyTorch is put back."""
        wrapped: tuple[tuple[Any, str, Any], ...] = (
            (Optimizer, "zero_grad", self._zeroing), (nn.Module, "zero_grad", self._zeroing),
            (Optimizer, "add_param_group", self._giving), (LRScheduler, "step", self._scheduling),
            (torch.inference_mode, "__enter__", self._inferring), (torch, "from_numpy", self._from_numpy),
            (torch, "compile", self._compiling),
        )  # fmt: skip
        with ExitStack() as stack:
            for handle in (
                modules.register_module_parameter_registration_hook(self._registered),
                modules.register_module_module_registration_hook(self._joined),
                optimizers.register_optimizer_step_pre_hook(self._stepping_begins),
                optimizers.register_optimizer_step_post_hook(self._stepping_ends),
            ):
                stack.callback(handle.remove)
            stack.enter_context(core.backward_passes(self._backward))
            for owner, name, around in wrapped:
                stack.enter_context(_wrapped(owner, name, around))
            stack.enter_context(self._own_warnings())
            stack.enter_context(self)
            stack.callback(self._come_back)  # from a step that failed
            yield

    def _compiling(self, compile: Callable[..., Any], args: Args, kwargs: Any) -> Any:
        return self._compiled(compile(*args, **kwargs))

    def _compiled(self, compiled: Any) -> Any:
        """What torch.compile returned, not watched: the compiler would compile the watch too."""
        if isinstance(compiled, nn.Module):
            compiled.__dict__["forward"] = self._unwatched(compiled.__dict__["forward"])
            return compiled
        return self._unwatched(compiled)

    def _unwatched(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def unwatched(*args: Any, **kwargs: Any) -> Any:
            if not self._is_innermost():
                return function(*args, **kwargs)
            with overrides._pop_mode_temporarily():
                result = function(*args, **kwargs)
            # Without a model torch.compile returns a decorator, whose result is compiled.
            decorator = getattr(function, "__qualname__", "") == "compile.<locals>.fn"
            return self._compiled(result) if decorator else result

        return unwatched

    def _from_numpy(self, from_numpy: Callable[..., Tensor], args: Args, kwargs: Any) -> Tensor:
        """Call torch.from_numpy, which takes no tensor, and so does not go through the mode."""
        tensor = from_numpy(*args, **kwargs)
        with torch._C.DisableTorchFunction():
            self.record.tick += 1
            made = Made("from_numpy", self.places.here(sys._getframe(2)), self.record.tick, tensor)
            self.record.keep(tensor, made)
        return tensor

    @contextmanager
    def _own_warnings(self) -> Iterator[None]:
        """A warning of PyTorch's C++ names the line that called it, which is ours: give the user's."""
        show = warnings.showwarning

        def showwarning(
            message: Any, category: Any, filename: str, lineno: int, *rest: Any, **more: Any
        ) -> None:
            if filename == __file__ and (place := self.places.here(sys._getframe())):
                filename, lineno = place.address
            show(message, category, filename, lineno, *rest, **more)

        warnings.showwarning = showwarning
        try:
            yield
        finally:
            if warnings.showwarning is showwarning:
                warnings.showwarning = show


@contextmanager
def _wrapped(
    owner: Any, name: str, around: Callable[[Callable[..., Any], Args, Any], Any]
) -> Iterator[None]:
    """Let each call of `owner.name` in this context be made by `around`, which gets the function and
    its arguments.
    """
    original = getattr(owner, name)

    @wraps(original)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return around(original, args, kwargs)

    setattr(owner, name, wrapper)
    try:
        yield
    finally:
        setattr(owner, name, original)


def _modes() -> list[Any]:
    """The modes that the functions called now go through, the first of them last."""
    count = torch._C._len_torch_function_stack()
    return [torch._C._get_function_stack_at(index) for index in range(count)]


def _ids_of_leaves(tensor: Tensor) -> set[int]:
    return set(map(id, records.leaves_of(tensor)))


def _transformed() -> bool:
    """Whether a transform of torch.func is at work: it wraps tensors, whose numbers nobody may read."""
    return torch._C._functorch.peek_interpreter_stack() is not None
