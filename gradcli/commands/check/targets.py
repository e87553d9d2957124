"""What the names of the user's file mean: a function, an autograd.Function, a module, or a pair."""

import inspect
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from gradcli import core
from gradcli.commands.check.arguments import Arguments
from gradcli.commands.check.calling import Calls
from gradcli.commands.check.kinds import Own, Pair, Recorded, WithGradient
from gradcli.commands.check.request import Check
from gradcli.errors import UsageError
from gradcli.language.suggest import did_you_mean
from gradcli.user_code import run


def own_code(request: Check, calls: Calls, inputs: Mapping[str, Tensor]) -> Own:
    """What the names of the file mean. Raises UsageError for anything that cannot be checked."""
    module = calls(run, calls.source)
    found = [_find(module, name, request) for name in request.target.names]
    name, target = request.target.names[0], found[0]
    if len(found) == 2 or request.with_gradient:
        for each, function in zip(request.target.names, found, strict=True):
            if not callable(function):
                raise UsageError(f"{each} is not a function", span=request.target.place(each))
        arguments = Arguments(target, inputs, request.wrt, name=name)
        arrays = "torch" not in request.target.imported()
        if len(found) == 1:
            return WithGradient(calls, target, arguments, name, arrays=arrays)
        back, back_name = found[1], request.target.names[1]
        return Pair(calls, target, arguments, name, arrays=arrays, back=back, back_name=back_name)
    if isinstance(target, type) and issubclass(target, torch.nn.Module):
        takes = inspect.signature(target).parameters.values()
        required = [p for p in takes if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
        if needed := [p.name for p in required if p.default is p.empty]:
            message = f"{name} needs {', '.join(needed)} to be made"
            hint = f"write net = {name}(...) into {request.target.path}, and check net"
            raise UsageError(message, span=request.target.place(name), hint=hint)
        target = calls(target)
    if isinstance(target, torch.nn.Module):
        return _module(target, request, calls, inputs)
    if hasattr(target, "apply") and hasattr(target, "_backward_cls"):  # an autograd.Function
        returned = core.recording(target)
        takes_ctx = target.setup_context.__module__.startswith("torch.")
        forward, skip = f"{name}.forward", int(takes_ctx)
        arguments = Arguments(target.forward, inputs, request.wrt, name=forward, skip=skip)
        return Recorded(calls, target.apply, arguments, name, returned=returned)
    if not callable(target):
        what = f"{name} is a {type(target).__name__}, not a function, autograd.Function or module"
        raise UsageError(what, span=request.target.place(name))
    arguments = Arguments(target, inputs, request.wrt, name=name)
    return Recorded(calls, target, arguments, name)


def _module(
    module: torch.nn.Module, request: Check, calls: Calls, inputs: Mapping[str, Tensor]
) -> Recorded:
    """A module, in float64 and with the parameters that are among the inputs."""
    name = request.target.names[0]
    module.double()
    parameters = {each: p.detach() for each, p in module.named_parameters()}
    if found := next((each for each, p in parameters.items() if p.is_complex()), ""):
        message = f"the parameter {found} of {name} is complex, which is not checked"
        hint = "make it a real parameter, and use torch.view_as_complex(...) of it in forward"
        raise UsageError(message, span=request.target.place(name), hint=hint)
    forward = f"{name}.forward"
    arguments = Arguments(module.forward, inputs, request.wrt, name=forward, others=[*parameters])
    for each, value in inputs.items():
        if each in parameters and each not in arguments.values:
            if value.shape != parameters[each].shape:
                text = f"{each} has shape {list(parameters[each].shape)}, not {list(value.shape)}"
                raise UsageError(text, hint="give it in its own shape")
            parameters[each].copy_(value)
    return Recorded(calls, module, arguments, name, module=module)


def _find(module: ModuleType, name: str, request: Check) -> Any:
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            hint = did_you_mean(part, [each for each in dir(found) if not each.startswith("_")])
            raise request.target.missing(name, hint)
        found = getattr(found, part)
    return found
