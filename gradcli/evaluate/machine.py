"""The machine that computes an expression: a table of operations, and a loop over the steps.

An expression is compiled once, each step bound to the PyTorch function that the allow-list names; a
run only walks the steps over a stack of values. The user's text is never looked up in PyTorch.
"""

import ast
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import chain, zip_longest
from typing import Any, NamedTuple, TypeAlias, cast

import torch
from torch import Tensor, nn

from gradcli.catalogue import operators
from gradcli.errors import ExpressionError, GradcliError, MathError, SizeError
from gradcli.evaluate import arithmetic, growth, library
from gradcli.evaluate.arithmetic import Compute
from gradcli.evaluate.failures import explained, inputs_as_settings, kind
from gradcli.language.expressions.expression import parse, places
from gradcli.language.expressions.program import Expression, Step, once
from gradcli.language.limits import ELEMENTS, PLAIN_INTEGER, PROGRAMS, RESULTS
from gradcli.language.source import Source

Before: TypeAlias = Callable[[Step, list[Any]], object]
"""Called just before each operation with its operands, which it may replace in the list."""
After: TypeAlias = Callable[[Step, Any], object]
"""Called with each operation and its value."""


class Evaluation(NamedTuple):
    """The value of an expression, and its named steps by their last bindings, of any shapes."""

    value: Tensor
    intermediates: dict[str, Tensor]
    bound: dict[str, Any]
    """All that it assigned, plain numbers too."""
    computed: Any
    """The value before a plain number or a size became a tensor."""


def evaluate(
    expression: Expression, inputs: Mapping[str, Any], before: Before | None = None,
    after: After | None = None
) -> Evaluation:  # fmt: skip
    """Compute `expression` with these tensors or plain numbers under its names.

    Autograd records as usual. The caller sets PyTorch's default dtype and seed. Raises a
    GradcliError with the place of the operation that failed: ShapeError for what PyTorch refuses,
    SizeError beyond the bounds, ExpressionError and MathError for values that are not allowed where
    they are.
    """
    for name, value in inputs.items():
        if isinstance(value, Tensor) and value.is_complex():
            hint = f"give {name}.abs() or {name}.real"
            raise MathError(f"the input {name} is complex", hint=hint)
    value, steps = _run(expression, inputs, before, after)
    dense = {n: t for n, t in steps.items() if isinstance(t, Tensor) and not t.is_sparse}
    return Evaluation(_result(value, expression), dense, steps, value)


def evaluated(formula: str, names: Mapping[str, Any]) -> Tensor:
    """The value of a formula as the user writes it, any shape; raises what `evaluate` raises."""
    return evaluate(parse(Source(formula), tuple(names)), names).value


def assigned(
    expression: Expression, inputs: Mapping[str, Any], before: Before | None = None
) -> dict[str, Any]:
    """What `expression` assigns, tensors or plain values; raises what `evaluate` raises."""
    return _run(expression, inputs, before, None)[1]


class _Act(NamedTuple):
    """One step made ready. `moves` says that `does` acts on the stack and the variables."""

    does: Compute
    take: int
    moves: bool
    step: Step


def _run(
    expression: Expression, inputs: Mapping[str, Any], before: Before | None, after: After | None
) -> tuple[Any, dict[str, Any]]:
    """Run an expression on a stack of values; return its value, and what it assigns by name."""
    program, scope = _compile(expression), dict(inputs)
    stack: list[Any] = []
    at, end = 0, len(program)
    while at < end:
        does, take, moves, step = program[at]
        at += 1
        if moves:
            if (target := does(stack, scope)) is not None:
                at = target
            continue
        operands = stack[-take:] if take else []
        if take:
            del stack[-take:]
        if before is not None:
            before(step, operands)
        try:
            value = does(*operands)
            if not isinstance(value, Tensor) or value.numel() > ELEMENTS.value:
                _admit(value, deep=step.kind in _FROM_PYTORCH)
        except GradcliError as error:
            error.span = error.span or step.span
            raise
        except Exception as error:  # whatever PyTorch raises for the user's call
            raise explained(error, step, operands, scope) from None
        if after is not None:
            after(step, value)
        stack.append(value)
    return stack[-1], {name: scope[name] for name in expression.assigned if name in scope}


@once
def _compile(expression: Expression) -> list[_Act]:
    """Every step bound to its operation."""
    program = []
    for step, after in zip_longest(expression.steps, expression.steps[1:]):
        if step.kind == "dtype" and after and after.name == "Tensor.view":  # reads bits: no cast
            step = step._replace(kind="constant", value=library.DTYPES[step.name])
        moves = step.kind in MOVES
        try:
            does = MOVES[step.kind](step) if moves else _bound(Step(step.kind, _NOWHERE, *step[2:]))
        except GradcliError as error:
            error.span = step.span
            raise
        program.append(_Act(does, step.take, moves, step))
    return program


def composed(
    expression: Expression, inputs: Sequence[str], named: Sequence[str],
    makers: Mapping[int, Callable[[tuple[Any, ...], Any], Any]], watch: Callable[[Any], object],
) -> Callable[..., tuple[Any, ...]] | None:  # fmt: skip
    """A program as one Python function of its `inputs`, by place; None if it branches or unpacks.

    The function returns the value and what the program binds to the names in `named`. It calls what
    `evaluate` calls, within the same bounds, but its errors have no place. `makers` make of some
    steps, found by their ids, what `watch` is given, from their operands and values.
    """
    bound: dict[str, Any] = {"Tensor": Tensor, "most": ELEMENTS.value}
    bound |= {"admit": _admit, "watch": watch}
    scope = {name: f"x{place}" for place, name in enumerate(inputs)}
    stack: list[str] = []
    lines = [f"def run({', '.join(scope.values())}):"]
    for number, (does, take, moves, step) in enumerate(_compile(expression)):
        value = f"v{number}"
        match step.kind:
            case "constant" | "dtype":
                bound[value] = step.value if step.kind == "constant" else library.DTYPES[step.name]
                stack.append(value)
            case "load":
                stack.append(scope[step.name])
            case "store":
                scope[step.name] = stack[-1]
            case "drop":
                stack.pop()
            case "copy":
                stack.append(stack[-1])
            case "network":
                del stack[len(stack) - take :]
                stack.append(value)
                bound[f"do{number}"] = cast(Any, step.value).again
                lines.append(f"{value} = do{number}()")
            case "layers":
                modules, arguments = cast(tuple[tuple[nn.Module, ...], int], step.value)
                bound |= {f"{value}_{place}": module for place, module in enumerate(modules)}
                at = len(stack) - arguments - 1
                stack[at : at + 1] = [f"{value}_{place}" for place in range(len(modules))]
            case _ if moves:
                return None
            case _:
                operands = ", ".join(stack[len(stack) - take :])
                del stack[len(stack) - take :]
                stack.append(value)
                bound[f"do{number}"], deep = does, step.kind in _FROM_PYTORCH
                lines.append(f"{value} = do{number}({operands})")
                too_large = f"type({value}) is not Tensor or {value}.numel() > most"
                lines.append(f"if {too_large}: admit({value}, deep={deep})")
                if make := makers.get(id(step)):
                    bound[f"make{number}"] = make
                    lines.append(f"watch(make{number}(({operands},), {value}))")
    lines.append(f"return {', '.join([stack[-1], *(scope[name] for name in named)])},")
    exec("\n ".join(lines), bound)  # it holds no text of the user's
    return cast(Callable[..., tuple[Any, ...]], bound["run"])


_NOWHERE = Source("").span(0)


@lru_cache(maxsize=PROGRAMS)
def _bound(step: Step) -> Compute:
    """The operation of a step without a place, shared by all such steps of any expression."""
    return VALUES[step.kind](step)


_FROM_PYTORCH = frozenset({"call", "method", "apply", "attribute"})
"""Steps whose sequences PyTorch made. Those of the text hold values that were admitted one by one;
a few lines can nest them so deep that walking through them would never end."""


def _admit(value: Any, *, deep: bool) -> None:
    """Raise if a value is too large, or of a type that expressions do not use."""
    if isinstance(value, tuple | list):
        RESULTS.check(len(value), "too many values")
        for item in value if deep else ():
            _admit(item, deep=True)
    elif isinstance(value, int) and not -PLAIN_INTEGER.value <= value <= PLAIN_INTEGER.value:
        raise SizeError(arithmetic.TOO_LONG, hint="write a float, such as 2.0**100")
    elif isinstance(value, Tensor):
        ELEMENTS.check(value.numel(), f"a tensor of shape {list(value.shape)} is too large")
    elif not isinstance(value, _PLAIN):
        raise ExpressionError(f"an expression cannot use a value of type {type(value).__name__}")


_PLAIN = (int, float, complex, str, slice, torch.dtype, nn.Module, type(None), type(...))


def _result(value: Any, expression: Expression) -> Tensor:
    """The value of the whole expression as one real tensor."""
    if isinstance(value, Tensor) and not value.is_complex() and not value.is_sparse:
        return value
    if isinstance(value, bool):
        return torch.tensor(value)
    if isinstance(value, int | float):
        return torch.tensor(float(value))
    if isinstance(value, torch.Size):
        return torch.tensor(list(value), dtype=torch.int64)
    place = expression.source.whole
    if isinstance(value, Tensor):
        if value.is_complex():
            hint = f"write {_with(expression, '.abs()')} or {_with(expression, '.real')}"
            raise MathError("the result is complex", span=place, hint=hint)
        hint = f"write {_with(expression, '.to_dense()')}"
        raise ExpressionError("the result is sparse", span=place, hint=hint)
    items = value if isinstance(value, tuple | list) else ()
    if items and isinstance(items[0], Tensor | int | float):
        fields = getattr(type(value), "__match_args__", ())
        hint = f"choose one: {_with(expression, f'.{fields[0]}' if fields else '[0]')}"
        if (name := type(value).__name__) in ("max", "min"):
            hint += f"\nor element by element: {name}imum(x, 0)"
        if not fields and all(isinstance(item, Tensor | int | float) for item in items):
            hint += "\nor make one tensor: stack([...])"
        message = f"the result is a sequence of length {len(items)}, not one tensor"
        raise ExpressionError(message, span=place, hint=hint)
    hint = "for example sum(x**2)"
    if isinstance(value, nn.Module):
        hint = f"call it: {_with(expression, '(x)')}"
        last = getattr(expression.tree.body[-1], "value", None)
        if isinstance(last, ast.Call) and any(_reads_input(part, expression) for part in last.args):
            raise inputs_as_settings(type(value), places(expression)(last.func))
    raise ExpressionError(f"the result is {kind(value)}, not a tensor", span=place, hint=hint)


def _reads_input(node: ast.AST, expression: Expression) -> bool:
    """Whether a part of an expression contains the name of an input."""
    return any(getattr(part, "id", "") in expression.names for part in ast.walk(node))


def _with(expression: Expression, suffix: str) -> str:
    """The text of an expression with something after the value of its last statement."""
    match expression.tree.body[-1]:
        case ast.Assign(targets=[*_, ast.Name(id=name)]) | ast.AugAssign(target=ast.Name(id=name)):
            return f"{expression.canonical_text}; {name}{suffix}"
        case ast.Assign(targets=[*_, ast.Tuple(elts=[ast.Name(id=name), *_])]):  # unpacked already
            return f"{expression.canonical_text}; {name}"
    before, separator, value = expression.canonical_text.rpartition("; ")
    return f"{before}{separator}{value if value.isidentifier() else f'({value})'}{suffix}"


# --- steps that move the machine ----------------------------------------------------------------


def _branch(step: Step) -> Compute:
    def branch(stack: list[Any], scope: dict[str, Any]) -> object:
        condition = stack.pop()
        if isinstance(condition, Tensor):
            message = "'if' needs a plain number, got a tensor"
            hint = "for tensors write where(condition, this, that)"
            raise ExpressionError(message, span=step.span, hint=hint)
        return None if condition else step.value

    return branch


def _network(step: Step) -> Compute:
    made: Any = step.value

    def network(stack: list[Any], scope: dict[str, Any]) -> None:
        stack[len(stack) - step.take :] = [made.again()]

    return network


def _layers(step: Step) -> Compute:
    modules, arguments = cast(tuple[tuple[nn.Module, ...], int], step.value)

    def layers(stack: list[Any], scope: dict[str, Any]) -> None:
        at = len(stack) - arguments - 1
        stack[at : at + 1] = modules

    return layers


MOVES: Mapping[str, Callable[[Step], Compute]] = {
    "constant": lambda step: lambda stack, scope, value=step.value: stack.append(value),
    "dtype": lambda step: (
        lambda stack, scope, name=step.name: stack.append(library.cast_dtype(name))
    ),
    "load": lambda step: lambda stack, scope, name=step.name: stack.append(scope[name]),
    "store": lambda step: lambda stack, scope: operator.setitem(scope, step.name, stack[-1]),
    "drop": lambda step: lambda stack, scope: operator.delitem(stack, -1),
    "copy": lambda step: lambda stack, scope: stack.append(stack[-1]),
    "unpack": lambda step: lambda stack, scope: stack.extend(reversed(stack.pop())),
    "branch": _branch,
    "jump": lambda step: lambda stack, scope: step.value,
    "network": _network,
    "layers": _layers,
}
"""Steps that move values, from the stack and the variables; a jump returns the next step's number."""


# --- steps that compute a value -----------------------------------------------------------------


def _call(step: Step) -> Compute:
    function, name = library.function(step.name, step.value), step.name.rpartition(".")[2]
    if step.take == 1 and not step.keywords and name not in growth.COUNTS:
        return function  # a single operand does not broadcast
    check = growth.checker(name)

    def call(*values: Any) -> Any:
        check(values, {})
        return function(*values)

    def call_with_keywords(*values: Any) -> Any:
        listed, keywords = step.split(values)
        arguments = (*listed, *keywords.pop("*", ()))
        check(arguments, keywords)
        return function(*arguments, **keywords)

    return call_with_keywords if step.keywords else call


def _method(step: Step) -> Compute:
    call = _call(step)

    def method(value: Any, *arguments: Any) -> Any:
        if not isinstance(value, Tensor) and not step.name.startswith("Module."):
            name = step.name.rpartition(".")[2]
            raise ExpressionError(f"{name} is a method of tensors, but this is {kind(value)}")
        return call(value, *arguments)

    return method


def _apply(step: Step) -> Compute:
    owned = [keyword for keyword in step.keywords if keyword.startswith(".")]

    def apply(*values: Any) -> Any:
        (module, *arguments), keywords = step.split(values)
        if step.value == "layer":
            parameters = {name[1:]: keywords.pop(name) for name in owned}
            module = library.with_parameters(module, parameters)
        return library.apply(module, *arguments, *keywords.pop("*", ()), **keywords)

    return apply


def _sequence(step: Step) -> Compute:
    """A tuple or list; what follows a `*` is unpacked."""
    build: Callable[[Iterable[Any]], Any] = tuple if step.kind == "tuple" else list
    places = cast(tuple[int, ...], step.value or ())

    def spread(*values: Any) -> Any:
        parts = [_parts(v) if place in places else (v,) for place, v in enumerate(values)]
        RESULTS.check(sum(map(len, parts)), "too many values")
        return build(chain.from_iterable(parts))

    return spread if places else lambda *values: build(values)


def _parts(value: Any) -> Sequence[Any]:
    """The values that `*` unpacks: the items of a sequence, the rows of a tensor."""
    if isinstance(value, Tensor) and value.ndim:
        RESULTS.check(len(value), "too many values")
        return value.unbind()
    if isinstance(value, tuple | list):
        return value
    raise ExpressionError(f"* unpacks sequences, but this is {kind(value)}", hint="leave out the *")


def _attribute(step: Step) -> Compute:
    name, get = step.name, operator.attrgetter(step.name)
    of_tensors = operators.in_space("properties", name) is not None

    def attribute(value: Any) -> Any:
        if isinstance(value, Tensor) and of_tensors:
            # .T of a vector changes nothing, and PyTorch warns of it.
            return value if name == "T" and value.ndim < 2 else get(value)
        if isinstance(value, tuple) and name in getattr(type(value), "__match_args__", ()):
            return get(value)
        if isinstance(value, nn.Module):
            return library.part(value, name)
        raise ExpressionError(f"{kind(value)} has no .{name}")

    return attribute


def _index(value: Any, place: Any) -> Any:
    sequence = isinstance(value, tuple | list | nn.Sequential | nn.ModuleList)
    if (sequence and isinstance(place, int | slice)) or isinstance(value, Tensor):
        return value[place]
    raise ExpressionError(f"{kind(value)} cannot be indexed by {kind(place)}")


def _unbind(step: Step) -> Compute:
    count = step.value

    def unbind(value: Any) -> Any:
        several = isinstance(value, tuple | list) or (isinstance(value, Tensor) and value.ndim)
        length = len(value) if several else 1
        if not several or length != count:
            message = f"{count} names for {length} values"
            raise ExpressionError(message, hint="give each value a name")
        return value.unbind() if isinstance(value, Tensor) else value

    return unbind


VALUES: Mapping[str, Callable[[Step], Compute]] = {
    "operator": arithmetic.operation, "compare": arithmetic.comparison, "call": _call, "method": _method, "apply": _apply,
    "attribute": _attribute, "index": lambda step: _index, "unbind": _unbind, "slice": lambda step: slice,
    "tuple": _sequence, "list": _sequence,
}  # fmt: skip
"""Steps that take values and leave one."""
