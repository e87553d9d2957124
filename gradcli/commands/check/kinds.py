"""The kinds of code that is checked: recorded by autograd, a pair of functions, or a function that
returns its gradients. Each gives a value and gradients at any inputs.
"""

import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import InitVar, dataclass, field
from functools import cached_property
from itertools import takewhile
from typing import Any

import torch
from torch import Tensor

from gradcli import core, user_code
from gradcli.commands.check.arguments import Arguments, as_tensor, floating
from gradcli.commands.check.calling import Calls, RefusedError
from gradcli.errors import CodeError
from gradcli.results import Inputs

_UPSTREAM_NAME = ("d", "grad", "g_", "upstream")
"""How the name of a parameter of a backward pass begins that is an upstream gradient."""


@dataclass(eq=False)
class Own:
    """What is checked, with its inputs in float64."""

    calls: Calls
    function: Callable[..., Any]
    arguments: Arguments
    name: str
    by: Sequence[str] = field(default=(), init=False)
    """The inputs that need a gradient."""
    mutated: dict[str, str] = field(default_factory=dict, init=False)
    """The inputs that a call has changed, with the function that did."""

    @property
    def inputs(self) -> dict[str, Tensor]:
        """All inputs that are tensors, of any shape."""
        return self.arguments.tensors

    def find_inputs(self, upstream: Tensor | None) -> None:
        """Make inputs of the settings that the user's backward or autograd has a gradient for."""
        self.calls.quiet = True
        settings, values = self.arguments.settings, self.arguments.values
        for name, tensor in [*settings.items()]:
            number, values[name] = values[name], tensor
            self.by = self._beside(name)
            try:
                needed = self.gradients(self.inputs, upstream)[name] is not None
            except RefusedError as refused:
                needed = refused.reason == "shape"
            except CodeError:  # it needs a number: range(n)
                needed = False
            if needed:
                del settings[name]
            else:
                values[name] = number
        self.calls.quiet = False
        self.mutated.clear()

    def _beside(self, name: str) -> list[str]:
        """The inputs whose gradients are returned with that of the input `name`."""
        return [n for n, tensor in self.inputs.items() if tensor.is_floating_point()]

    def chosen(self, wrt: Collection[str]) -> list[str]:
        """The inputs that need a gradient if `wrt` is empty: all but frozen parameters."""
        return [*self.inputs]

    plain = False
    """Whether autograd made the gradients, of PyTorch's own operations alone."""

    def outputs(self, inputs: Inputs) -> list[Tensor]:
        """What it returns at `inputs`, in float64 and in the shapes that it returns."""
        raise NotImplementedError

    def value(self, inputs: Inputs) -> Tensor:
        """All numbers that it returns, [n]."""
        return flattened(self.outputs(inputs)).detach()

    def gradients(self, inputs: Inputs, upstream: Tensor | None) -> dict[str, Any]:
        """The gradient for each input in `by`: a tensor, None, or whatever else was returned.

        `upstream` is [n]. Raises RefusedError.
        """
        raise NotImplementedError

    def reference(self, upstream: Tensor | None) -> dict[str, Tensor | None]:
        """Autograd's gradients in the given inputs' shapes; empty if it cannot follow the code."""
        return {}

    def _checked(self, found: list[Tensor], returned: Any) -> list[Tensor]:
        if any(tensor.is_complex() for tensor in found):
            hint = "return .abs(), .real or torch.view_as_real(...) of it"
            raise self._wrong(f"{self.name} returned complex numbers, which are not checked", hint)
        if found and any(tensor.numel() for tensor in found):
            return found
        what = "nothing" if returned is None else f"a {type(returned).__name__} without numbers"
        raise self._wrong(f"{self.name} returned {what}", "it must return a tensor, or several")

    def _wrong(
        self, message: str, hint: str, function: Callable[..., Any] | None = None
    ) -> CodeError:
        """The error for what a function returned or takes, with the line of its definition."""
        function = function or self.function
        forward = getattr(getattr(function, "__self__", function), "forward", None)  # of a class
        codes = [getattr(inspect.unwrap(it), "__code__", None) for it in (function, forward) if it]
        lines = [
            code.co_firstlineno
            for code in codes
            if code is not None and code.co_filename == self.calls.source.label
        ]
        text = self.calls.source.text.split("\n")
        while lines and text[lines[0] - 1].lstrip().startswith("@"):
            lines[0] += 1  # from its decorator to its own line
        span = user_code.place(self.calls.source, lines[0]) if lines else None
        return CodeError(message, span=span, hint=hint)

    def _compare(self, given: Mapping[str, Any], inputs: Inputs, function: str) -> None:
        """Record the inputs that are no longer what they were."""
        for name, value in given.items():
            if name in inputs:
                now = as_tensor(value.detach() if isinstance(value, Tensor) else value)
                if now is None or not _same(now, inputs[name]):
                    self.mutated.setdefault(name, function)


def _same(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and torch.allclose(a, b.double(), 0, 0, equal_nan=True)


def flattened(outputs: Sequence[Tensor]) -> Tensor:
    """The elements of all tensors one after another, [n]."""
    return torch.cat([each.reshape(-1) for each in outputs])


def slopes(
    flat: Tensor, leaves: Inputs, upstream: Tensor | None
) -> dict[str, Tensor | None] | None:
    """Autograd's gradients of all numbers that were returned, [n]; None if it did not record them."""
    if not flat.requires_grad:
        return None
    output = flat.reshape(()) if upstream is None else flat
    return core.gradients(output, leaves, upstream=upstream)


@dataclass(eq=False, kw_only=True)
class Recorded(Own):
    """A function of tensors, an autograd.Function or a module: autograd gives the gradients."""

    module: InitVar[Any] = None
    returned: list[Any] | None = None
    """What the backward of an autograd.Function returned last; None for other code."""

    def __post_init__(self, module: Any) -> None:
        named = () if module is None else module.named_parameters()
        taken = set(self.arguments.values)
        self._parameters = {f"self.{n}" if n in taken else n: parameter for n, parameter in named}
        self._own = {name: p.detach().double().clone() for name, p in self._parameters.items()}
        modules = () if module is None else module.modules()
        held = [it for each in modules for it in (vars(each), each._buffers)]
        self._held = [(attributes, dict(attributes)) for attributes in held]
        kept = (value for _, attributes in self._held for value in attributes.values())
        self._state = [(t, t.detach().clone()) for t in kept if isinstance(t, Tensor)]

    @property
    def inputs(self) -> dict[str, Tensor]:
        """The tensors given, then the module's parameters in float64, each in its shape."""
        return self.arguments.tensors | self._own

    def _beside(self, name: str) -> list[str]:
        return [name]

    def chosen(self, wrt: Collection[str]) -> list[str]:
        """The inputs, without parameters that the user has frozen and that are not in `wrt`."""
        frozen = {name for name, p in self._parameters.items() if not p.requires_grad}
        return [name for name in self.inputs if name not in frozen or name in wrt]

    def _run(self, inputs: Inputs) -> tuple[list[Tensor], dict[str, Tensor]]:
        """The outputs, recorded, and the leaves."""
        leaves = core.require_grad(inputs, [n for n in self.by if n not in self._parameters])
        given = {name: leaves[name].clone() for name in self.arguments.tensors}
        for name, parameter in self._parameters.items():
            parameter.detach().copy_(inputs[name])
            leaves[name] = parameter
        for attributes, before in self._held:
            attributes.clear()
            attributes.update(before)
        for tensor, kept in self._state:
            tensor.detach().copy_(kept)
        bound = self.arguments.bound(given)
        if self.returned is not None:  # apply takes no keywords
            bound.apply_defaults()
        returned = self.function(*bound.args, **bound.kwargs)
        self._given = given | self._parameters
        self._compare(self._given, inputs, self.name)
        return self._checked(floating([returned]), returned), {n: leaves[n] for n in self.by}

    def outputs(self, inputs: Inputs) -> list[Tensor]:
        """What it returns at `inputs`, in float64, each tensor in its shape."""
        with self.calls.user_code():
            return self._run(inputs)[0]

    def gradients(self, inputs: Inputs, upstream: Tensor | None) -> dict[str, Any]:
        """Autograd's gradients in the inputs' shapes, by the user's own backward if there is one;
        `upstream` is [n].
        """
        try:
            return self._gradients(inputs, upstream)
        except CodeError as error:
            if error.span is not None or torch.is_anomaly_enabled():
                raise
        torch.set_anomaly_enabled(True, False)  # which tells the line
        try:
            return self._gradients(inputs, upstream)
        finally:
            torch.set_anomaly_enabled(False)

    def _gradients(self, inputs: Inputs, upstream: Tensor | None) -> dict[str, Any]:
        with self.calls.user_code():
            outputs, leaves = self._run(inputs)
            if (found := slopes(flattened(outputs), leaves, upstream)) is None:
                return dict.fromkeys(self.by)
        self._compare(self._given, inputs, f"the backward pass of {self.name}")
        return dict(found)

    def twice(
        self, inputs: Inputs, upstream: Tensor | None, bent: bool, weights: Inputs | None = None
    ) -> tuple[dict[str, Tensor], dict[str, Tensor | None]]:
        """The gradient of the value, and of that gradient times `weights`, if given, all in the
        inputs' shapes; `upstream` is [n].

        If `bent`, of a square of the value, so that the upstream gradient depends on the inputs too.
        """
        with self.calls.user_code():
            outputs, leaves = self._run(inputs)
            flat = flattened(outputs)
            weighted = flat if upstream is None else flat * upstream
            total = (weighted * (1 + flat / 2) if bent else weighted).sum()
            return core.hessian_product(total, leaves, weights)

    @cached_property
    def plain(self) -> bool:  # type: ignore[override]
        """Whether no autograd.Function of the user is in the graph."""
        with self.calls.user_code():
            roots = [output.grad_fn for output in self._run(self.inputs)[0]]
        return not any(hasattr(node, "_forward_cls") for node, _ in core.walk(roots))


@dataclass(eq=False, kw_only=True)
class Returned(Own):
    """Code whose gradients are returned: by the function itself, or by a backward pass."""

    arrays: bool
    """Whether it takes NumPy's arrays."""

    def _call(self, inputs: Inputs) -> Any:
        given = {name: self._given(inputs[name]) for name in self.arguments.tensors}
        bound = self.arguments.bound(given)
        returned = self.calls(self.function, *bound.args, **bound.kwargs)
        self._compare(given, inputs, self.name)
        self._inputs = given
        return returned

    def _given(self, tensor: Tensor) -> Any:
        return tensor.numpy().copy() if self.arrays else tensor.detach().clone()

    def _split(self, returned: Any) -> tuple[list[Any], Any]:
        """The outputs, and what comes after them."""
        raise NotImplementedError

    def outputs(self, inputs: Inputs) -> list[Tensor]:
        """What it returns at `inputs`, in float64, each tensor in its shape."""
        returned = self._call(inputs)
        found = self._split(returned)[0]
        return self._checked(floating(found), returned)

    def reference(self, upstream: Tensor | None) -> dict[str, Tensor | None]:
        """Autograd's gradients of the value in the inputs' shapes, if PyTorch recorded it."""
        if self.arrays:
            return {}
        leaves = core.require_grad(self.inputs, self.by)
        bound = self.arguments.bound({n: leaf.clone() for n, leaf in leaves.items()})
        try:
            returned = self.calls(self.function, *bound.args, **bound.kwargs)
            flat = flattened(floating(self._split(returned)[0]))
            return slopes(flat, {n: leaves[n] for n in self.by}, upstream) or {}
        except Exception:
            return {}

    def _by_input(self, returned: Any, function: str) -> dict[str, Any]:
        """What was returned, by the inputs that need a gradient."""
        if isinstance(returned, dict):
            return {name: _of(returned, name) for name in self.by}
        numbers = [name for name, tensor in self.inputs.items() if tensor.is_floating_point()]
        gradients = returned if isinstance(returned, tuple | list) else [returned]
        if len(gradients) == 1 < len(self.by):
            gradients = _rows(gradients[0], [self.inputs[n] for n in self.by]) or gradients
        for names in ([*self.by], numbers, [*self.arguments.values]):
            if len(names) == len(gradients):
                by_name = dict(zip(names, gradients, strict=True))
                return {name: by_name[name] for name in self.by}
        count, needed = len(gradients), len(self.by)
        text = (
            f"{function} returned {count} gradient{'s' * (count != 1)}, but {needed} "
            f"input{'s need one each' if needed != 1 else ' needs one'}: {', '.join(self.by)} "
            "(--wrt names others)"
        )
        raise RefusedError("count", text)


def _rows(array: Any, inputs: Sequence[Tensor]) -> list[Any]:
    """An array as one gradient for each input, if its rows have their shapes."""
    tensor = as_tensor(array)
    rows = [] if tensor is None or tensor.ndim == 0 else [*tensor]
    return rows if [row.shape for row in rows] == [x.shape for x in inputs] else []


def _of(gradients: Mapping[Any, Any], name: str) -> Any:
    """The gradient for an input from a dictionary, as courses name it."""
    last = name.rpartition(".")[2]
    forms = ("{}", "d{}", "d_{}", "grad_{}", "{}_grad", "g{}")
    keys = (*(form.format(name) for form in forms), f"d{last}", last)
    return next((gradients[key] for key in keys if key in gradients), None)


class WithGradient(Returned):
    """A function that returns its value and its gradients."""

    def _split(self, returned: Any) -> tuple[list[Any], Any]:
        if not isinstance(returned, tuple | list) or len(returned) < 2:
            message = f"{self.name} returned {_kind(returned)} instead of (value, gradients)"
            raise self._wrong(message, "leave out --with-gradient if it returns the value alone")
        rest = returned[1] if len(returned) == 2 else list(returned[1:])
        return [returned[0]], rest

    def gradients(self, inputs: Inputs, upstream: Tensor | None) -> dict[str, Any]:
        """What it returned as gradients, of any shapes."""
        return self._by_input(self._split(self._call(inputs))[1], self.name)


@dataclass(eq=False, kw_only=True)
class Pair(Returned):
    """A forward pass and a backward pass."""

    back: Callable[..., Any]
    back_name: str

    def __post_init__(self) -> None:
        kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        parameters = inspect.signature(self.back).parameters.values()
        self._takes = [p.name for p in parameters if p.kind in kinds]

    def _split(self, returned: Any) -> tuple[list[Any], Any]:
        """The outputs, and the cache as a list of arguments; None if there is none.

        An LSTM's step returns two outputs and a cache: its backward pass then takes two upstream
        gradients, which are recognised by their names.
        """
        if not isinstance(returned, tuple) or len(returned) < 2:
            return [returned], None
        if len(returned) == 2:
            return [returned[0]], [returned[1]]
        if len(self._takes) != len(returned):
            return [returned[0]], [tuple(returned[1:])]
        leading = takewhile(lambda name: name.startswith(_UPSTREAM_NAME), self._takes[1:-1])
        count = 1 + len([*leading])
        return list(returned[:count]), list(returned[count:])

    def gradients(self, inputs: Inputs, upstream: Tensor | None) -> dict[str, Any]:
        """What the backward pass returned, of any shapes; `upstream` is [n]."""
        outputs, cache = self._split(self._call(inputs))
        given = self._inputs
        douts = []
        start = 0
        for output in outputs:
            tensor = as_tensor(output)
            if tensor is None:
                message = f"{self.name} returned {_kind(output)} as its output"
                raise self._wrong(message, "it must be a tensor or an array")
            part = torch.ones_like(tensor)
            if upstream is not None:
                part = upstream[start : start + tensor.numel()].reshape(tensor.shape)
            douts.append(self._given(part))
            start += tensor.numel()
        rest = self.arguments.bound(given).args if cache is None else cache
        try:
            inspect.signature(self.back).bind(*douts, *rest)
        except TypeError:
            raise self._misfit(len(douts), cache) from None
        returned = self.calls(self.back, *douts, *rest)
        self._compare(given, inputs, self.back_name)
        return self._by_input(returned, self.back_name)

    def _misfit(self, count: int, cache: list[Any] | None) -> CodeError:
        """The error for a backward pass that cannot be called as it should be."""
        rest = self.arguments.values if cache is None else _numbered("cache", len(cache))
        call = ", ".join([*_numbered("dout", count), *rest])
        because = "no cache" if cache is None else "a cache"
        message = f"{self.back_name} cannot be called as {self.back_name}({call})"
        hint = f"{self.name} returned {because}: write def {self.back_name}({call}):"
        return self._wrong(message, hint, self.back)


def _numbered(name: str, count: int) -> list[str]:
    return [name] if count == 1 else [f"{name}{each}" for each in range(1, count + 1)]


def _kind(value: Any) -> str:
    return "None" if value is None else f"a {type(value).__name__}"
