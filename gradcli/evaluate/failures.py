"""What a failed operation says to the user: PyTorch's good words, the shapes of the operands, and a cure where one is known."""

import re
from collections.abc import Sequence

from torch import Tensor, dtype, nn

from gradcli.catalogue import operators
from gradcli.errors import ExpressionError, GradcliError, ShapeError, SizeError
from gradcli.evaluate import library
from gradcli.evaluate.refusals import topic, words
from gradcli.evaluate.rewording import reworded, signature
from gradcli.language.expressions.program import Step

CURES = (
    (r"not implemented for '(?:Half|BFloat16)'|Low precision dtypes", "choose a dtype that supports it: --dtype float32"),
    (r"bitwise_xor", "write ** for a power"),
    (r"bitwise_(?:and|or|not)", "put brackets around each comparison: (x > 0) & (y > 0)"),
    (r"used as indices must be|integer tensors of a single|indices must be integers|to an index",
     "an index is a whole number; as an input: i=tensor(1)"),
    (r"scalar type Long|Int64|int64|dtype Long|\bLong\b.*index|index.*\bLong\b",
     "write whole numbers as i=tensor([0, 1]), or x.long()"),
    (r"same dtype|expected scalar type", "write .float() after the one with whole numbers"),
    (r"Boolean value of Tensor", "for tensors write where(condition, this, that)"),
    (r"must be tuple of Tensors, not Tensor", "put them into a list: stack([a, b]), cat([a, b])"),
    (r"step must be greater than zero", "to reverse, write .flip(0)"),
    (r"must be Tensor, not (?:list|tuple)", "combine tensors with stack([a, b]), numbers with tensor([1., 2.])"),
    (r"complex|Complex", "write .real, .imag or .abs() to get real numbers"),
)  # fmt: skip
"""What to do about what PyTorch says: a pattern, and the cure."""

_MEMORY = re.compile(
    r"can't allocate memory|not enough memory|out of memory|bad_?\s?alloc|too large to be allocated"
    r"|Storage size calculation overflowed|integer multiplication overflow|Stride calculation overflowed"
)


def wants_memory(error: Exception) -> bool:
    """Whether it is memory that PyTorch did not get."""
    return isinstance(error, MemoryError) or bool(_MEMORY.search(str(error)))


def explained(error: Exception, step: Step, operands: Sequence[object]) -> GradcliError:
    """The error of an operation that failed on these operands, at its place in the text."""
    name = step.name.rpartition(".")[2] or step.kind
    said = re.sub(rf"^(?:linalg[._])?(?:\w+\(\)|{re.escape(name)}): ", "", words(error))
    if wants_memory(error):
        return SizeError(f"{name} needs more memory than is available", place=step.place, cure=shapes(step, operands))
    if isinstance(error, OverflowError | ZeroDivisionError):
        return ExpressionError(f"{name}: {said}", place=step.place, cure="the number is not finite")
    if step.kind == "call" and step.name.startswith("nn.") and any(isinstance(value, Tensor) for value in operands):
        return ExpressionError(
            "the first brackets of a module are for its settings", place=step.place, cure=called(name)
        )
    lines = [shapes(step, operands)]
    if "invalid combination of arguments" in said:
        got, _, expected = said.partition(", but expected one of:")
        said = f"it does not take {got.rpartition(' got ')[2]}"
        lines += [f"it takes {form.strip()}" for form in expected.split(" * ")[1:3]]
    elif keyword := re.search(r"unexpected keyword argument '?(\w+)", said):
        compared = f"to compare, write {keyword[1]} == ...; otherwise leave out {keyword[1]}="
        lines.append("PyTorch calls it dim=" if keyword[1] == "axis" else compared)
    else:
        lines += [cure for pattern, cure in CURES if re.search(pattern, said)][:1]
    if "bitwise_xor" in said:
        said = "this is bitwise xor, not a power, and needs whole numbers"
    topics, said = topic(said), reworded(said, step, operands)
    if said.endswith(" missing") and step.name.partition(".")[0] in operators.sections():
        lines.append(signature(library.pytorch_function(step.name)))
    lines += transposed(step, operands)
    cure = "\n".join(line for line in lines if line)
    return ShapeError(f"{name}: {said}", place=step.place, cure=cure, topic=topics)


def called(module: str) -> str:
    """How a module of torch.nn is called, as a cure."""
    return f"call it: nn.{module}()({'pred, target' if module.endswith('Loss') else 'x'})"


def shapes(step: Step, operands: Sequence[object]) -> str:
    """The operands in words: shapes of tensors, plain values as they are."""
    if step.kind == "operator" and len(operands) == 2:
        return f"left {_kind(operands[0])}, right {_kind(operands[1])}"
    tensors = [_kind(operand) for operand in operands if isinstance(operand, Tensor)]
    return f"{'shapes' if len(tensors) > 1 else 'shape'} {', '.join(tensors)}" if tensors else ""


def transposed(step: Step, operands: Sequence[object]) -> list[str]:
    """The matrix product that would fit, where one operand only lies the wrong way."""
    match step.name, operands:
        case "@", [Tensor(ndim=2) as left, Tensor(ndim=1 | 2) as right] if left.shape[1] != right.shape[0]:
            if right.ndim == 2 and left.shape[1] == right.shape[1]:
                return ["the right one fits when transposed: write .T after it"]
            if left.shape[0] == right.shape[0]:
                return ["the left one fits when transposed: write .T after it"]
    return []


def kind(value: object) -> str:
    """What a value is, in a word."""
    match value:
        case Tensor():
            return "a tensor"
        case bool() | int() | float() | complex():
            return "a number"
        case str():
            return "text"
        case None:
            return "None"
        case tuple() | list():
            return "a sequence"
        case dtype():
            return "a dtype"
        case nn.Module():
            return "a module"
        case slice():
            return "a slice"
    return "an ellipsis"


def _kind(value: object) -> str:
    if isinstance(value, Tensor):
        return str(list(value.shape))
    return repr(value)[:40] if isinstance(value, int | float) else kind(value)
