"""The errors of failed operations: PyTorch's message in our words, the shapes, and a hint."""

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import chain, zip_longest
from math import prod
from typing import Any, TypeAlias

from torch import Tensor, bfloat16, dtype, float16, float32, float64, get_default_dtype, nn

from gradcli import core
from gradcli.catalogue import operators
from gradcli.errors import ExpressionError, GradcliError, MathError, ShapeError, SizeError
from gradcli.evaluate import failed_layers, library
from gradcli.evaluate.refusals import why_entry, words
from gradcli.language.expressions.program import Step
from gradcli.language.source import Span

Shapes: TypeAlias = Sequence[list[int]]
"""The shapes of the tensors among the operands, in order."""
Scope: TypeAlias = Mapping[str, object]
"""The inputs and what has been assigned, by name."""


def _one_dtype(message: str) -> str:
    """How to give two operands one dtype, that of the job, which is PyTorch's default."""
    cast = _CASTS[get_default_dtype()]
    other = next(
        (n for n in re.findall(r"\w+", message.lower()) if n in _CASTS.values() and n != cast), ""
    )
    if not other:
        return f"write .{cast}() after the one with whole numbers"
    instead = f"in place of .{other}() write .{cast}(), or .to(X.dtype) with an input X"
    return f"{instead}; leave out dtype=: --dtype chooses it for everything"


_CASTS = {float32: "float", float64: "double", float16: "half", bfloat16: "bfloat16"}
"""The method that casts to each dtype of a job; in messages, its name."""

_WHOLE = "a whole number is needed; as an input: k=tensor(1)"
_HINTS: tuple[tuple[str, str | Callable[[str], str]], ...] = (
    (r"bitwise_xor", "write ** for a power"),
    (r"bitwise_(?:and|or|not)", "put brackets around each comparison: (x > 0) & (y > 0)"),
    (r"used as indices must be|integer tensors of a single|indices must be integers|to an index",
     "an index is a whole number; as an input: i=tensor(1)"),
    (r"(?:must be int|tuple of ints), not Tensor|must be an 0-dim integral", _WHOLE),
    (r"invalid index of a 0-dim", "leave the index out, or give several numbers: x=1,2"),
    (r"scalar type Long|Int64|int64|dtype Long|long tensor for index|LongTensor|to be Long|\bLong\b.*index"
     r"|\bind(?:ex|ices)\b.*\bLong\b",
     "write whole numbers as i=tensor([0, 1]), or x.long()"),
    (r"more than 1 (?:value per channel|spatial)", "give more rows, or write .eval() after the module"),
    (r"same (?:dtype|scalar type)|expected scalar type|[Ff]ound dtype|[Ee]xpected dtype", _one_dtype),
    (r"\b(?:Half|BFloat16|b?float16)\b|[Ll]ow precision|either float or double", core.OTHER_DTYPE),
    (r"from the 'Sparse\w*' backend", "write .to_dense() after the sparse tensor"),
    (r"Boolean value of Tensor", "for tensors write where(condition, this, that)"),
    (r"must be tuple of Tensors, not Tensor", "put them into a list: stack([a, b]), cat([a, b])"),
    (r"step must be greater than zero", "to reverse, write .flip(0)"),
    (r"must be Tensor, not (?:list|tuple)", "combine tensors with stack([a, b]), numbers with tensor([1., 2.])"),
    (r"complex|Complex", "write .real, .imag or .abs() to get real numbers"),
)  # fmt: skip
"""What to do about a message of PyTorch: a pattern, and the hint, or a function that gives it."""

_MEMORY = re.compile(
    r"can't allocate memory|not enough memory|out of memory|bad_?\s?alloc|too large to be allocated"
    r"|Storage size calculation overflowed|integer multiplication overflow|Stride calculation overflowed"
)


_NO_DERIVATIVE = re.compile(r"not differentiable with respect to argument '(\w+)'")


def is_out_of_memory(error: Exception) -> bool:
    """Whether PyTorch failed to allocate memory."""
    return isinstance(error, MemoryError) or bool(_MEMORY.search(str(error)))


def explained(
    error: Exception, step: Step, operands: Sequence[object], scope: Scope
) -> GradcliError:
    """The error of an operation that failed on these operands, at its place in the text."""
    name = step.name.rpartition(".")[2] or step.kind
    if refused := core.no_forward(error, name if step.name else type(operands[0]).__name__):
        refused.span = step.span
        return refused
    arguments, (fault, cure) = operands, ("", "")
    if layer := failed_layers.failed(error):
        whole = operands[0] if isinstance(operands[0], nn.Module) else layer.module
        name, arguments = layer.title(whole, step.span.text), layer.arguments
        fault, cure = layer.fault
    if argument := _NO_DERIVATIVE.search(str(error)):
        of = layer.module if layer else library.pytorch_function(step.name)
        return _constant(name, argument[1], of, step, operands, scope)
    message = re.sub(rf"^(?:linalg[._])?(?:\w+\(\)|{re.escape(name)}): ", "", words(error))
    lines = [_described(step, arguments)]
    if is_out_of_memory(error):
        memory = f"{name} needs more memory than is available"
        return SizeError(memory, span=step.span, hint=lines[0])
    if isinstance(error, OverflowError | ZeroDivisionError):
        hint = "the number is not finite"
        return ExpressionError(f"{name}: {message}", span=step.span, hint=hint)
    if step.kind == "call" and step.name.startswith("nn."):
        return _settings(name, message, step, operands)
    if "invalid combination of arguments" in message:
        got, _, expected = message.partition(", but expected one of:")
        message = f"it does not take {got.rpartition(' got ')[2]}"
        lines += [f"it takes {form.strip()}" for form in expected.split(" * ")[1:3]]
        floats = (v for v in operands[1:] if isinstance(v, Tensor) and v.is_floating_point())
        if any(not value.ndim for value in floats):
            lines[1:] = [_WHOLE]
    elif keyword := re.search(r"unexpected keyword argument '?(\w+)", message):
        compared = f"to compare, write {keyword[1]} == ...; otherwise leave out {keyword[1]}="
        lines.append("PyTorch calls it dim=" if keyword[1] == "axis" else compared)
    else:
        hints = (hint for pattern, hint in _HINTS if re.search(pattern, message))
        lines += [hint if isinstance(hint, str) else hint(message) for hint in hints][:1]
    entry, message = why_entry(message), fault or _reworded(message, name, arguments)
    if message.endswith(" missing") and step.name.partition(".")[0] in operators.sections():
        lines.append(_signature(library.pytorch_function(step.name)))
    if "Dimension out of range" in str(error) and name in ("max", "min"):
        text = step.span.source.text
        lines.append(f"element by element: {text[: step.span.stop]}imum{text[step.span.stop :]}")
    lines += _transposed(step, operands)
    hint = cure or "\n".join(line for line in lines if line)
    return ShapeError(f"{name}: {message}", span=step.span, hint=hint, why_entry=entry)


def _constant(
    what: str, argument: str, of: Any, step: Step, operands: Sequence[object], scope: Scope
) -> GradcliError:
    """The error of an input that is used where PyTorch has no derivative, such as class weights.

    `of` is the function, or the module that holds the argument.
    """
    refused = {argument: getattr(of, argument, None)}
    if not isinstance(of, nn.Module):
        listed, keywords = step.split(operands)
        with suppress(ValueError):  # a function written in C++ has no signature
            refused |= _refused(argument, of, inspect.signature(of).bind(*listed, **keywords))
    tensors = ((name, value) for name, value in scope.items() if isinstance(value, Tensor))
    leaves = {name: value for name, value in tensors if value.is_leaf and value.requires_grad}
    given = (value for value in refused.values() if isinstance(value, Tensor))
    used = {name for value in given for name in core.reached(value, leaves)}
    others = ",".join(name for name in leaves if name not in used)
    hint = f"differentiate by the other inputs alone: --wrt {others}" if used and others else ""
    depend = "depends" if len(refused) == 1 else "depend"
    on = f", which {depend} on {' and '.join(sorted(used))}" if used else ""
    them = " and ".join(refused)
    message = f"PyTorch has no derivative of {what} by its {them}{on}"
    return MathError(message, span=step.span, hint=hint or f"write .detach() after the {them}")


def _refused(
    argument: str, of: Callable[..., object], given: inspect.BoundArguments
) -> dict[str, Tensor]:
    """The arguments by which PyTorch has no derivative, of which its error names only the first."""
    found: dict[str, Tensor] = {}
    while isinstance(value := given.arguments.get(argument), Tensor) and value.requires_grad:
        found[argument] = value
        given.arguments[argument] = value.detach()
        try:
            of(*given.args, **given.kwargs)
        except Exception as error:  # another one, or a fault that was hidden by the first
            argument = (_NO_DERIVATIVE.search(str(error)) or ["", ""])[1]
    return found


def _settings(name: str, message: str, step: Step, operands: Sequence[object]) -> GradcliError:
    """The error of the settings of a module of torch.nn."""
    module = library.pytorch_function(step.name)
    if any(isinstance(value, Tensor) for value in operands):
        mixed = "" if all(isinstance(value, Tensor) for value in operands) else "x"
        lone = name.endswith("Loss") and len(operands) == 1
        return inputs_as_settings(module, step.span, "pred, target" if lone else mixed)
    message = _reworded(message, name, operands)
    signature = re.sub(r",?\s*device=None,\s*dtype=None", "", _signature(module))
    signature = re.sub(r",(?=\S)", ", ", signature)
    hint = "" if "*args" in signature else f"write nn.{signature}"
    return ShapeError(f"{name}: {message}", span=step.span, hint=hint)


def inputs_as_settings(
    module: Callable[..., object], place: Span, inputs: str = ""
) -> ExpressionError:
    """The error of `nn.Tanh(x)`, where `place` is that of the name; the cure has the user's own
    inputs unless others are given.
    """
    settings = inspect.signature(module).parameters.values()
    required = (
        s.name for s in settings if s.default is s.empty and s.kind is s.POSITIONAL_OR_KEYWORD
    )
    text, brackets = place.source.text, f"({', '.join(required)})"
    written = f"{text[: place.stop]}{brackets}{text[place.stop :]}"
    if inputs:
        written = f"nn.{module.__name__}{brackets}({inputs})"
    message = "the first brackets of a module are for its settings"
    return ExpressionError(message, span=place, hint=f"write {written}")


def _described(step: Step, operands: Sequence[object]) -> str:
    """The operands in words: shapes of tensors, plain values as they are."""
    if step.kind == "operator" and len(operands) == 2:
        return f"left {_shape(operands[0])}, right {_shape(operands[1])}"
    tensors = [_shape(operand) for operand in operands if isinstance(operand, Tensor)]
    return f"{'shapes' if len(tensors) > 1 else 'shape'} {', '.join(tensors)}" if tensors else ""


def _shape(value: object) -> str:
    if isinstance(value, Tensor):
        return str(list(value.shape))
    return repr(value)[:40] if isinstance(value, int | float) else kind(value)


def _transposed(step: Step, operands: Sequence[object]) -> list[str]:
    """The matrix product that would fit if one operand were transposed."""
    match step.name, operands:
        case "@", [Tensor(ndim=2) as left, Tensor(ndim=1 | 2) as right] if (
            left.shape[1] != right.shape[0]
        ):
            if right.ndim == 2 and left.shape[1] == right.shape[1]:
                return ["the right one fits when transposed: write .T after it"]
            if left.shape[0] == right.shape[0]:
                return ["the left one fits when transposed: write .T after it"]
    return []


def kind(value: object) -> str:
    """The kind of a value, in a word or two."""
    return next((name for types, name in _KINDS if isinstance(value, types)), "an ellipsis")


_KINDS: Sequence[tuple[type | tuple[type, ...], str]] = (
    (Tensor, "a tensor"), ((int, float, complex), "a number"), (str, "text"), (type(None), "None"),
    ((tuple, list), "a sequence"), (dtype, "a dtype"), (nn.Module, "a module"), (slice, "a slice"),
)  # fmt: skip


def _signature(function: Callable[..., object]) -> str:
    """How to call a function of PyTorch, from its docstring or signature; empty without both."""
    name, first = getattr(function, "__name__", ""), (function.__doc__ or "").strip().split("\n")[0]
    if matched := re.match(r"\w+(\(.*?\))(?: ->.*)?$", first):
        return f"{name}{matched[1]}"
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return ""
    empty = signature.empty
    bare = [parameter.replace(annotation=empty) for parameter in signature.parameters.values()]
    for place, parameter in enumerate(bare):
        if inspect.isfunction(parameter.default):  # PyTorch takes its name too: activation='relu'
            bare[place] = parameter.replace(default=parameter.default.__name__)
    return f"{name}{signature.replace(parameters=bare, return_annotation=empty)}"


# --- PyTorch's messages in our words ------------------------------------------------------------


def _reworded(message: str, name: str, operands: Sequence[object]) -> str:
    """PyTorch's message in terms of these operands; unchanged if no rule is about it.

    Tensors in a list count, as `cat` takes them; those in nested lists do not.
    """
    listed = (operand if isinstance(operand, list | tuple) else (operand,) for operand in operands)
    shapes = [list(v.shape) for v in chain.from_iterable(listed) if isinstance(v, Tensor)]
    for pattern, worded in _RULES:
        if matched := re.search(pattern, message):
            if isinstance(worded, str):
                return matched.expand(worded)
            if text := worded(matched, name, shapes):
                return text
    return message


_PRODUCTS = ("@", "matmul", "bmm", "baddbmm")


def _product(matched: re.Match[str], name: str, shapes: Shapes) -> str:
    """Which sizes of a matrix product must agree."""
    if len(shapes) < 2:
        return ""
    left, right = shapes[-2:] if name in ("addmm", "addmv", "baddbmm", "addbmm") else shapes[:2]
    if not left or not right:
        return f"{'the left' if not left else 'the right'} operand is a single number: write the product with *"
    whose, size, other = "left operand", right[0], "size of the right one"
    if name == "linear":
        whose, size, other = "input", right[-1], "last size of the weight"
    elif len(right) > 1 and name != "dot":
        place = "first" if len(right) == 2 else "second-last"
        size, other = right[-2], f"{place} size of the right one"
        if left[-1] == size:
            return _broadcast(matched, name, [left, right])
    if left[-1] == size:
        return ""
    return f"the last size of the {whose} ({left[-1]}) must equal the {other} ({size})"


def _broadcast(matched: re.Match[str], name: str, shapes: Shapes) -> str:
    """The last dimension in which shapes do not broadcast, counted from the end."""
    what = "batch sizes" if name in _PRODUCTS else "shapes"
    if name in _PRODUCTS:
        shapes = [shape[:-2] for shape in shapes]
    from_the_end = zip_longest(*(reversed(shape) for shape in shapes), fillvalue=1)
    for place, sizes in enumerate(from_the_end, 1):
        if len(set(sizes) - {1}) > 1:
            where = "last dimension" if place == 1 else f"dimension {place} from the end"
            listed = " and ".join(str(size) for size in dict.fromkeys(sizes) if size != 1)
            return f"the {what} do not broadcast: {listed} in the {where} must be equal, or one of them 1"
    return ""


def _reshape(matched: re.Match[str], name: str, shapes: Shapes) -> str:
    shape, count = [int(size) for size in matched[1].split(",") if size.strip()], int(matched[2])
    text, product = f"{count} elements cannot be arranged as {shape}", prod(shape)
    if -1 in shape:
        return f"{text}: {-product} does not divide {count}" if product else ""
    return f"{text}, which has {product}"


def _dimension(matched: re.Match[str], name: str, shapes: Shapes) -> str:
    first, last, got = map(int, matched.groups())
    if shapes == [[]]:
        return f"there is no dimension {got}: the tensor is a single number"
    if not last:
        return f"there is no dimension {got}: the tensor has one dimension, numbered 0 or -1"
    return f"there is no dimension {got}: the tensor has {last + 1} dimensions, numbered 0 to {last} or {first} to -1"


def _missing(matched: re.Match[str], name: str, shapes: Shapes) -> str:
    names = re.findall(r"[\"'](\w+)[\"']", matched[1])
    return f"{' and '.join(names)} {'is' if len(names) == 1 else 'are'} missing" if names else ""


def _dtypes(matched: re.Match[str], name: str, shapes: Shapes) -> str:
    dtypes = " and ".join(dtype.lower() for dtype in matched.groups() if dtype)
    return f"both operands must have the same dtype, but they have {dtypes}"


def _rows(matched: re.Match[str], name: str, shapes: Shapes) -> str:
    rows = f"there are {matched[1]} rows of logits and"
    if shapes[-1:] == [[]]:
        return f"{rows} one class index: each row needs one class, such as y=0,1"
    return f"{rows} {matched[2]} targets: each row needs one class"


_RULES: tuple[tuple[str, str | Callable[[re.Match[str], str, Shapes], str]], ...] = (
    ("bitwise_xor", "this is bitwise xor, not a power, and needs whole numbers"),
    (r"shapes cannot be multiplied|^size mismatch, got|arguments to \w+ need to be at least 1D"
     r"|inconsistent tensor size, expected tensor|Expected size for first two dimensions of batch2"
     r"|1D tensors expected, but got|input and mat2 must be the same|Expected batch2? tensor", _product),
    (r"size of tensor a \(\d+\) must match|are not broadcastable|shape mismatch: ", _broadcast),
    (r"shape '\[(.*?)\]' is invalid for input of size (\d+)", _reshape),
    (r"Dimension out of range \(expected to be in range of \[(-?\d+), (-?\d+)\], but got (-?\d+)\)", _dimension),
    (r"missing \d+ required (?:positional|keyword-only) arguments?: (.*)", _missing),
    (r"same dtype, but (?:found|got):? (?:\w+, )?(\w+),? (?:and|!=) (\w+)|expected scalar type (\w+) but found (\w+)",
     _dtypes),
    (r"expanded size of the tensor \((\d+)\) must match the existing size \((\d+)\)",
     r"only a dimension of size 1 can be expanded to \1, but this one has size \2"),
    (r"Incompatible shapes of A and B for the equation AX = B \((?:.*x)?(\d+)x\d+ and (?:.*x)?(\d+)x\d+\)",
     r"the rows of A (\1) must equal those of B (\2)"),
    (r"Sizes of tensors must match except in dimension (-?\d+)",
     lambda matched, name, shapes:
        f"all sizes except that of dimension {matched[1]} must be equal: {' and '.join(map(str, shapes))}"),
    (r"expects each tensor to be equal size",
     lambda matched, name, shapes: f"all shapes must be equal: {' and '.join(map(str, shapes))}"),
    (r"index (-?\d+) is out of bounds for dimension (\d+) with size (\d+)",
     r"index \1 is outside dimension \2, which has size \3"),
    (r"invalid index of a 0-dim tensor", "a single number has no elements to choose from"),
    (r"too many indices for tensor of dimension (\d+)",
     r"there are more indices than dimensions: the tensor has \1"),
    (r"must be batches of square matrices, but they are (\d+) by (\d+)", r"the matrix must be square, but it is \1 by \2"),
    (r"The input tensor A? ?must have at least 2 dimensions|expected a tensor with 2 or more dimensions|expected a matrix",
     lambda matched, name, shapes:
        f"expected a matrix, got shape {shapes[0]}" if shapes and len(shapes[0]) < 2 else ""),
    (r"input matrix is singular|solver failed because the input matrix is singular",
     "the matrix is singular: it has no inverse"),
    (r"Expected input batch_size \((\d+)\) to match target batch_size \((\d+)\)", _rows),
    (r"Using a target size \(torch\.Size\((\[.*?\])\)\) that is different to the input size \(torch\.Size\((\[.*?\])\)\)",
     r"the target has shape \1 and the input \2: they must be equal"),
    (r"weight of size (\[.*?\]), expected input(\[.*?\]) to have (\d+) channels, but got (\d+)",
     r"the weight \1 is for \3 input channels, but the input \2 has \4"),
    (r"more than 1 (?:value per channel|spatial element) when training, got input size torch\.Size\((\[.*?\])\)",
     r"in training it normalises by the spread of several numbers, and the input \1 has one for each channel"),
    (r"argument 'size'.*must be tuple of ints,? ?(?:but (?:got|found element of type)|not) (\w+)",
     r"a size must be a whole number, not \1"),
    ("embed_dim must be divisible by num_heads",
     lambda matched, name, shapes: "d_model must be a multiple of nhead" if name.startswith("Transformer") else ""),
    (r"negative dimension (-\d+)", r"a size must not be negative, as \1 is"),
    (r"(?:list|tuple) is not a Module subclass", "its parts must be modules: before a list of them write *"),
    (r"(\w+) is not a Module subclass", r"its parts must be modules, not \1"),
    (r"__init__\(\) got an unexpected keyword argument '(\w+)'", r"it has no setting \1"),
    (r"'(\w+)' object has no attribute 'self_attn'", r"it is made of transformer layers, not of \1"),
    (r"forward\(\) takes (\d+) positional arguments? but (\d+)",
     lambda matched, name, shapes: f"{int(matched[2]) - 1} inputs were given, and it takes {int(matched[1]) - 1}"),
)  # fmt: skip
"""What PyTorch's messages mean: a pattern, and a text with its groups, or a function of match, name
and shapes."""
