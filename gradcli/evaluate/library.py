"""PyTorch's functions under the paths of the allow-list, each resolved once, with our rules for the few that need them."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, TypeAlias, cast

import torch
import torch.masked
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from gradcli.errors import ExpressionError, ShapeError
from gradcli.evaluate import functions
from gradcli.tables import operators
from gradcli.tables.catalogue import CATALOGUE, LOSSES, Loss
from gradcli.text.call import Call
from gradcli.text.limits import RESULTS

Function: TypeAlias = Callable[..., Any]

_SPACES: Mapping[str, object] = {
    "torch": torch,
    "F": F,
    "special": torch.special,
    "linalg": torch.linalg,
    "fft": torch.fft,
    "masked": torch.masked,
    "Tensor": Tensor,
    "nn": nn,
}

DTYPES: Mapping[str, torch.dtype] = {name: getattr(torch, name) for name in operators.sections()["dtypes"]}


@cache
def function(path: str) -> Function:
    """The function or module class at a path of the allow-list.

    Raises ExpressionError where the installed PyTorch has none of that name.
    """
    if path in _OWN:
        return _OWN[path]
    found = pytorch_function(path)
    if prepare := _PREPARED.get(path):
        return _prepared(found, prepare)
    return found if path.startswith("nn.") else _with_numbers(found)


def pytorch_function(path: str) -> Function:
    """What PyTorch itself has at a path of the allow-list.

    Raises ExpressionError where the installed PyTorch has none of that name.
    """
    space, _, name = path.partition(".")
    if operators.in_space(space, name) is None or (found := getattr(_SPACES[space], name, None)) is None:
        raise ExpressionError(f"PyTorch {torch.__version__} has no {path}", cure="another version may have it")
    return cast(Function, found)


def _with_numbers(function: Function) -> Function:
    """The same function, taking plain numbers where PyTorch insists on tensors: `sqrt(2)`, `maximum(x, 0)`, `mse(x, 1)`."""

    def call(*arguments: Any, **keywords: Any) -> Any:
        try:
            return function(*arguments, **keywords)
        except (TypeError, AttributeError) as error:
            for places in liftable(arguments):
                try:
                    return function(*lifted(arguments, places), **keywords)
                except (TypeError, AttributeError):
                    continue
            raise error

    return call


def liftable(arguments: Sequence[Any]) -> list[list[int]]:
    """The places of plain numbers that may have to be tensors: first that of the first one, then all of them."""
    places = [i for i, value in enumerate(arguments) if isinstance(value, int | float) and not isinstance(value, bool)]
    return [places[:1], places] if places else []


def lifted(arguments: Sequence[Any], places: Sequence[int]) -> list[Any]:
    """The arguments with the numbers at some places as 0-d tensors."""
    return [torch.tensor(value) if i in places else value for i, value in enumerate(arguments)]


Prepare: TypeAlias = Callable[[list[Any], dict[str, Any]], None]
"""A rule that puts the arguments of a call right, in place, or refuses them."""


def _prepared(function: Function, prepare: Prepare) -> Function:
    """The same function, its arguments prepared first."""

    def call(*arguments: Any, **keywords: Any) -> Any:
        listed = list(arguments)
        prepare(listed, keywords)
        return function(*listed, **keywords)

    return call


def by_place(arguments: list[Any], keywords: dict[str, Any], *names: str) -> None:
    """Move the first arguments, which have these names, out of the keywords to their places."""
    for place, name in enumerate(names):
        if name in keywords and place <= len(arguments):
            arguments.insert(place, keywords.pop(name))


def _class_indices(entry: Loss) -> Prepare:
    """The target of a loss holds class indices, which may be written as any whole numbers."""

    def prepare(arguments: list[Any], keywords: dict[str, Any]) -> None:
        by_place(arguments, keywords, "input", "target")
        if len(arguments) > 1:
            settings = {"ignore_index": keywords["ignore_index"]} if "ignore_index" in keywords else {}
            arguments[1] = _indices(entry, settings, *arguments[:2])

    return prepare


def _indices(entry: Loss, settings: Mapping[str, Any], pred: Any, target: Any) -> Any:
    if isinstance(target, int | float):
        target = torch.tensor(target)
    if not (isinstance(pred, Tensor) and isinstance(target, Tensor)):
        return target
    if pred.ndim == 0 and target.dtype == torch.int64:
        return target  # PyTorch takes it as one class
    return functions.index_target(Call(entry.name, entry, settings), pred, target)


def _labels(arguments: list[Any], keywords: dict[str, Any]) -> None:
    """ctc_loss reads memory that is not its own where a label is out of range."""
    by_place(arguments, keywords, "log_probs", "targets")
    match arguments:
        case [Tensor() as pred, Tensor() as target, *_] if pred.ndim and target.numel():
            classes, lowest, highest = pred.shape[-1], int(target.min()), int(target.max())
            if lowest < 0 or highest >= classes:
                wrong = lowest if lowest < 0 else highest
                raise ShapeError(f"a label is {wrong}, and log_probs has {classes} classes", cure="labels count from 0")


def _checked(arguments: list[Any], keywords: dict[str, Any]) -> None:
    """segment_reduce keeps its checks: `unsafe` would let it read memory that is not its own, for the same numbers."""
    keywords.pop("unsafe", None)


def _copies(*places: int) -> Prepare:
    """The arguments at these places, and running statistics by name, are written into, which no schema says."""

    def copied(value: Any) -> Any:
        return value.clone() if isinstance(value, Tensor) else value

    def prepare(arguments: list[Any], keywords: dict[str, Any]) -> None:
        arguments[:] = [copied(value) if place in places else value for place, value in enumerate(arguments)]
        keywords.update({name: copied(value) for name, value in keywords.items() if name.startswith("running_")})

    return prepare


def apply(module: Any, *arguments: Any, **keywords: Any) -> Any:
    """Call a module of torch.nn; one with class indices takes them as its function does."""
    if not isinstance(module, nn.Module):
        cure = "a product is written with *"
        raise ExpressionError("only functions and modules of torch.nn can be called", cure=cure)
    listed = list(arguments)
    if isinstance(module, nn.CTCLoss):
        _labels(listed, keywords)
    elif entry := INDEXED_MODULES.get(type(module)):
        ignored = getattr(module, "ignore_index", -100)
        by_place(listed, keywords, "input", "target")
        if len(listed) == 2:
            listed[1] = _indices(entry, {} if ignored == -100 else {"ignore_index": ignored}, *listed)
    return module(*listed, **keywords)


def _tensor(data: Any, **keywords: Any) -> Tensor:
    """torch.tensor for plain numbers. Tensors that record are refused, because a copy of their numbers has no history."""
    agenda = [data]
    for item in agenda:
        if isinstance(item, tuple | list):
            agenda.extend(item)
            RESULTS.check(len(agenda), "torch.tensor is given too many values")
        elif isinstance(item, Tensor) and item.requires_grad:
            raise ExpressionError("torch.tensor copies numbers, so the gradient is lost", cure="write stack([a, b])")
    return torch.tensor(data, **keywords) if not isinstance(data, Tensor) else data.clone()


def _to(value: Tensor, *arguments: Any, **keywords: Any) -> Tensor:
    """Tensor.to for dtypes: devices are the command's business."""
    if not all(isinstance(argument, torch.dtype | Tensor) for argument in (*arguments, *keywords.values())):
        raise ExpressionError(".to takes a dtype here", cure="write .to(torch.float64) or .double()")
    return value.to(*arguments, **keywords)


def _composed(name: str, pytorch: Function | None) -> Function:
    """The catalogue's own function; with further arguments it is PyTorch's, where there is one."""
    entry = CATALOGUE[name]
    call = Call(name, entry)
    own: Function = functions.loss(call) if isinstance(entry, Loss) else functions.activation(call)
    arity = 2 if isinstance(entry, Loss) else 1

    def run(*arguments: Any, **keywords: Any) -> Any:
        tensors = [torch.tensor(float(v)) if isinstance(v, int | float) else v for v in arguments]
        if pytorch is None or (len(arguments) == arity and not keywords):
            return own(*tensors, **keywords)
        return pytorch(*arguments, **keywords)

    return run


INDEXED = {entry.torch: entry for entry in LOSSES.values() if entry.target in ("class", "labels")}
INDEXED_MODULES: Mapping[type[nn.Module], Loss] = {
    nn.CrossEntropyLoss: LOSSES["cross_entropy"],
    nn.NLLLoss: LOSSES["nll"],
    nn.MultiMarginLoss: LOSSES["multi_margin"],
    nn.MultiLabelMarginLoss: LOSSES["multilabel_margin"],
}

_PREPARED: Mapping[str, Prepare] = {
    **{path: _class_indices(entry) for path, entry in INDEXED.items()},
    **dict.fromkeys(("F.ctc_loss", "torch.ctc_loss"), _labels),
    "torch.segment_reduce": _checked,
    **dict.fromkeys(("F.batch_norm", "F.instance_norm"), _copies(1, 2)),
    **dict.fromkeys(("torch.batch_norm", "torch.instance_norm", "torch.native_batch_norm"), _copies(3, 4)),
    **dict.fromkeys(("F.embedding", "F.embedding_bag"), _copies(1)),  # with max_norm
}
"""Functions whose arguments are put right or checked before PyTorch sees them."""

_OWN: Mapping[str, Function] = {
    "python.len": len,
    "Tensor.to": _to,
    "torch.tensor": _tensor,
    "torch.as_tensor": _tensor,
    "torch.scalar_tensor": _tensor,
    **{
        f"catalogue.{name}": _composed(name, pytorch)
        for name, pytorch in {
            "step": torch.heaviside,
            "prelu": F.prelu,
            "threshold": F.threshold,
            **dict.fromkeys(("l2_norm", "sse", "half_sse")),
        }.items()
    },
}
