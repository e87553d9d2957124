"""PyTorch's functions by the paths of the allow-list, each resolved once, with a few own rules."""

import builtins
import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import cache
from typing import Any, ClassVar, Self, TypeAlias, cast

import torch
import torch.masked
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from gradcli.catalogue import operators
from gradcli.catalogue.functions import CATALOGUE, LOSSES, Activation, Loss
from gradcli.errors import ExpressionError, ShapeError, SizeError
from gradcli.evaluate import growth, implementations
from gradcli.language.calls import Call
from gradcli.language.expressions.program import Step
from gradcli.language.limits import LAYERS, MODULE_DEPTH, RESULTS
from gradcli.language.literals.literal_grammar import NOT_FINITE
from gradcli.language.suggest import did_you_mean

Function: TypeAlias = Callable[..., Any]

_SPACES: Mapping[str, object] = {
    "torch": torch, "F": F, "special": torch.special, "linalg": torch.linalg, "fft": torch.fft, "masked": torch.masked,
    "Tensor": Tensor, "nn": nn,
}  # fmt: skip

DTYPES: Mapping[str, torch.dtype] = {n: getattr(torch, n) for n in operators.sections()["dtypes"]}

_WIDENED: dict[torch.dtype, torch.dtype] = {}
"""What casts give instead of these dtypes while `widened_casts` lasts."""


@contextmanager
def widened_casts(dtype: torch.dtype) -> Iterator[None]:
    """While parts of a job in `dtype` are recomputed in float64, casts to that dtype or to a wider one
    give float64.

    In the job such a cast loses no digits. It makes a mask fit the other operand, as in
    `(x > 0).float() @ w`, where the other operand is now in float64. A cast to a coarser dtype stays,
    because it is there to lose digits: `x.half().float()`.
    """
    before = _WIDENED.copy()
    _WIDENED.update(_widened(dtype))
    try:
        yield
    finally:
        _WIDENED.clear()
        _WIDENED.update(before)


@cache
def _widened(dtype: torch.dtype) -> dict[torch.dtype, torch.dtype]:
    """float64 or complex128 for each dtype that holds every number of `dtype`."""
    least = torch.finfo(dtype)
    inexact = (other for other in DTYPES.values() if other.is_floating_point or other.is_complex)
    return {
        other: torch.complex128 if other.is_complex else torch.float64 for other in inexact
        if torch.finfo(other).eps <= least.eps and torch.finfo(other).max >= least.max
    }  # fmt: skip


def cast_dtype(name: str) -> torch.dtype:
    """What the name of a dtype means now: see `widened_casts`."""
    return _WIDENED.get(DTYPES[name], DTYPES[name])


@cache
def function(path: str, python: object = None) -> Function:
    """The function or module class at a path of the allow-list.

    `python` names Python's function for plain numbers: `math.sqrt`, or a bare name. Raises
    ExpressionError if the installed PyTorch has no function of that name.
    """
    if path in _OWN:
        return _OWN[path]
    resolved = pytorch_function(path)
    if is_layer(path):
        return _on_cpu(_within_bounds(resolved))
    if path.rpartition(".")[2] in operators.RANDOM and not path.startswith("nn."):
        resolved = _on_cpu(resolved)
    if prepare := _PREPARED.get(path):
        return _prepared(resolved, prepare)
    return resolved if path.startswith("nn.") else _with_numbers(resolved, _python(python))


def is_layer(path: str) -> bool:
    """Whether a path is that of a module that may have parameters, or contain such modules."""
    return operators.in_space("layers", path.removeprefix("nn.")) is not None


class Bounded(TorchFunctionMode):
    """Refuses what is too large before it is made: results, in the calls of modules too, and the
    parameters of all modules together.
    """

    current: "ClassVar[Bounded | None]" = None

    def __init__(self) -> None:
        super().__init__()
        self.making = ""
        self.elements = 0
        self._tensors = 0

    def __enter__(self) -> Self:
        Bounded.current = self
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *error: object) -> None:
        Bounded.current = None
        super().__exit__(*error)  # type: ignore[no-untyped-call]

    def __torch_function__(
        self, function: Any, types: Any, arguments: Any = (), keywords: Any = None
    ) -> Any:
        keywords, name = keywords or {}, function.__name__
        if not self.making:
            growth.checker(name)(arguments, keywords)
            return function(*arguments, **keywords)
        if name in growth.COUNTS:
            growth.refuse(self.making, self.elements + growth.COUNTS[name](*arguments, **keywords))
        made = function(*arguments, **keywords)
        if name in ("empty", "clone", "ones", "zeros") and isinstance(made, Tensor):
            self.elements += made.numel()
            self._tensors += 1
            growth.refuse(self.making, self.elements)
            LAYERS.check(self._tensors, self.making)
        return made


_REPEATED = {"RNN": (2,), "LSTM": (2,), "GRU": (2,), "TransformerEncoder": (1,), "TransformerDecoder": (1,),
             "Transformer": (2, 3)}  # fmt: skip
"""The places of the settings of modules that are numbers of layers, called num_layers or the like."""


def _within_bounds(module: Function) -> Function:
    """A class of modules; its layers and what they hold are counted before they are made."""

    def make(*arguments: Any, **keywords: Any) -> Any:
        name = module.__name__
        counts = [arguments[place] for place in _REPEATED.get(name, ()) if place < len(arguments)]
        counts += [value for key, value in keywords.items() if key.endswith("layers")]
        for count in (len(arguments), *(value for value in counts if isinstance(value, int))):
            LAYERS.check(count, name)
        with nullcontext(Bounded.current) if Bounded.current else Bounded() as bounded:
            bounded.making = f"{name}, after the other modules," if bounded.elements else name
            try:
                with warnings.catch_warnings():
                    warnings.filterwarnings("ignore", "enable_nested_tensor")  # of speed alone
                    made = module(*arguments, **keywords)
            finally:
                bounded.making = ""
        depth, layers = _measured(made, {})
        MODULE_DEPTH.check(depth, name)
        LAYERS.check(layers, name)
        return made

    return make


def _measured(module: nn.Module, known: dict[int, tuple[int, int]]) -> tuple[int, int]:
    """How deep modules nest in a module, and how many layers a call of it calls."""
    if id(module) not in known:
        parts = [_measured(part, known) for part in module._modules.values() if part]
        depth, layers = (max(parts)[0], sum(layers for _, layers in parts)) if parts else (0, 1)
        known[id(module)] = depth + 1, layers
    return known[id(module)]


def with_parameters(module: nn.Module, parameters: Mapping[str, Any]) -> nn.Module:
    """The same module with other parameters, by their paths, of the same shapes; its buffers are
    copied, because PyTorch writes into them.
    """
    own: Any = object.__new__(type(module))
    own.__dict__.update(vars(module))
    below: dict[str, dict[str, Any]] = {}
    for path, value in parameters.items():
        first, _, _ = path.rpartition(".")[0].partition(".")
        below.setdefault(first, {})[path.removeprefix(f"{first}.")] = value
    given = below.pop("", {})
    if getattr(module, "max_norm", None) is not None:  # PyTorch scales the rows in place
        given = {name: value.clone() for name, value in given.items()}
    own._parameters = {**module._parameters, **given}
    parts, buffers = module._modules.items(), module._buffers.items()
    own._modules = {name: p and with_parameters(p, below.get(name, {})) for name, p in parts}
    own._buffers = {name: b if b is None else b.to(_fitting(b), copy=True) for name, b in buffers}
    if names := getattr(own, "_flat_weights_names", None):
        own._flat_weights = [own._parameters[name] for name in names]
    return cast(nn.Module, own)


def _fitting(buffer: Tensor) -> torch.dtype:
    return torch.get_default_dtype() if buffer.is_floating_point() else buffer.dtype


def part(module: nn.Module, name: str) -> Any:
    """A parameter or a part of a module. Raises ExpressionError if it has none of this name."""
    parts = {**module._modules, **module._parameters}
    if parts.get(name) is None:
        names = [name for name, value in parts.items() if value is not None]
        has = f"it has {', '.join(names)}" if names else "it has no parameters of its own"
        message = f"{type(module).__name__} has no {name}"
        raise ExpressionError(message, hint=did_you_mean(name, names) or has)
    return parts[name]


def _python(name: object) -> Function | None:
    """Python's own function of that name, one of the few that expressions use."""
    if not isinstance(name, str):
        return None
    space, _, last = name.rpartition(".")
    return cast(Function, getattr(math if space else builtins, last))


def plain(values: Sequence[Any]) -> bool:
    """Whether Python's own functions may have these arguments: numbers and sequences of them."""
    kinds = (int, float, tuple, list)
    return all(isinstance(v, kinds) and not isinstance(v, torch.Size) for v in values)


def pytorch_function(path: str) -> Function:
    """PyTorch's function at an allowed path. Raises ExpressionError if PyTorch has none."""
    space, _, name = path.partition(".")
    listed = operators.in_space(space, name) is not None
    function = getattr(_SPACES[space], name, None) if listed else None
    if function is None:
        message = f"PyTorch {torch.__version__} has no {path}"
        raise ExpressionError(message, hint="another version may have it")
    return cast(Function, function)


def _with_numbers(function: Function, python: Function | None) -> Function:
    """The same function, accepting plain numbers where PyTorch insists on tensors: `maximum(x, 0)`.

    If all arguments are plain and Python has the function too, Python's is called.
    """

    def call(*arguments: Any, **keywords: Any) -> Any:
        try:
            return function(*arguments, **keywords)
        except (TypeError, AttributeError) as error:
            if python and plain(arguments):
                return _of_numbers(python, *arguments, **keywords)
            for listed, named in lifted(function, arguments, keywords):
                try:
                    return function(*listed, **named)
                except (TypeError, AttributeError):
                    continue
            raise error

    return call


def _of_numbers(python: Function, *arguments: Any, **keywords: Any) -> Any:
    """Python's function of plain numbers. Raises ExpressionError without a value, or SizeError."""
    numbers = [value for value in arguments if isinstance(value, int | float)]
    bounded = numbers[: 2 if python is pow else 1] if python in _LARGE else []
    if any(abs(value) > LARGEST for value in bounded):
        message = f"{python.__name__} of a number beyond {LARGEST:,} is too large"
        raise SizeError(message, hint="write a float: 2.0**100")
    try:
        return python(*arguments, **keywords)
    except (ValueError, OverflowError, ZeroDivisionError) as error:
        hint = "in tensors it gives nan or inf: tensor(-1.)"
        raise ExpressionError(f"{python.__name__}: {error}", hint=hint) from None


LARGEST = 10_000
"""The factorial or power of a larger whole number takes long to compute, and is refused."""
_LARGE = (pow, math.comb, math.factorial, math.perm)


def _whole(python: Function) -> Function:
    """A function of math without a counterpart for tensors."""

    def call(*arguments: Any, **keywords: Any) -> Any:
        if not plain(arguments):
            is_close = python is math.isclose
            twin = "isclose(a, b)" if is_close else "exp(lgamma(n + 1)) for a factorial"
            message = f"math.{python.__name__} takes plain numbers"
            raise ExpressionError(message, hint=f"for tensors write {twin}")
        return _of_numbers(python, *arguments, **keywords)

    return call


def _number(python: Function) -> Function:
    """Python's own type of numbers, called with one number."""

    def call(value: Any) -> Any:
        if isinstance(value, Tensor) and value.requires_grad:
            message = f"{python.__name__} takes the number out of the graph, so it has no gradient"
            raise ExpressionError(message, hint="leave it off, or write .detach() for a constant")
        if python is float and isinstance(value, str) and value.lower() in NOT_FINITE:
            return NOT_FINITE[value.lower()]
        if isinstance(value, int | float | Tensor):
            return python(value)
        hint = "the only texts allowed are float('inf') and float('nan')"
        raise ExpressionError(f"{python.__name__} takes one number", hint=hint)

    return call


def _on_cpu(function: Function) -> Function:
    """The same function, computed on the CPU: it draws the same random numbers on every device."""

    def call(*arguments: Any, **keywords: Any) -> Any:
        device = torch.empty(0).device  # get_default_device sees no `with device` before 2.8
        if device.type == "cpu":
            return function(*arguments, **keywords)
        with torch.device("cpu"):
            drawn = function(*_moved(arguments, "cpu"), **_moved(keywords, "cpu"))
        return _moved(drawn, device)

    return call


def _moved(value: Any, device: torch.device | str) -> Any:
    """A value with its tensors on another device."""
    match value:
        case Tensor():
            return value.to(device)
        case dict():
            return {key: _moved(item, device) for key, item in value.items()}
        case nn.Module():
            return value.to(device)
        case tuple() | list() if not isinstance(value, torch.Size):
            items, kind = [_moved(item, device) for item in value], type(value)
            return kind(items) if kind in (list, tuple) or hasattr(value, "n_fields") else items
    return value


def lifted(
    function: Function, arguments: Sequence[Any], keywords: Mapping[str, Any]
) -> Iterator[tuple[list[Any], dict[str, Any]]]:
    """The arguments of a call with numbers made 0-d tensors, on which PyTorch may insist: first the
    first number, then all by position, then those by name too.
    """
    made = float if compares_values(function) else lambda value: value
    places = [i for i, value in enumerate(arguments) if type(value) in (int, float)]
    names = [name for name, value in keywords.items() if type(value) in (int, float)]
    tries = {tuple(places[:1]): [], tuple(places): [], (*places, *names): names}
    for chosen, named in tries.items() if places or names else ():
        listed = [torch.tensor(made(v)) if i in chosen else v for i, v in enumerate(arguments)]
        yield listed, {**keywords, **{name: torch.tensor(made(keywords[name])) for name in named}}


def compares_values(function: Function) -> bool:
    """Whether a function is a loss of two tensors of values, so that a plain number is a float: with
    whole numbers many of PyTorch's losses have no gradient.
    """
    return function in _VALUE_LOSSES


Prepare: TypeAlias = Callable[[list[Any], dict[str, Any]], object]
"""A rule that corrects the arguments of a call in place, or refuses them."""


def _prepared(function: Function, prepare: Prepare) -> Function:
    """The same function, its arguments prepared first."""

    def call(*arguments: Any, **keywords: Any) -> Any:
        listed = list(arguments)
        prepare(listed, keywords)
        return function(*listed, **keywords)

    return call


def split(step: Step, operands: Sequence[Any]) -> tuple[list[Any], dict[str, Any]]:
    """A step's arguments without its module, by place and by name; input and target by place."""
    arguments, keywords = step.split(operands)
    if step.kind == "apply":
        del arguments[0]
    by_place(arguments, keywords, "input", "target")
    return arguments, keywords


def by_place(arguments: list[Any], keywords: dict[str, Any], *names: str) -> None:
    """Move arguments with these names, in this order, from the keywords to their places."""
    for place, name in enumerate(names):
        if name in keywords and place == len(arguments):
            arguments.append(keywords.pop(name))


def _class_indices(entry: Loss) -> Prepare:
    """The target of a loss is class indices, which may be any whole numbers."""

    def prepare(arguments: list[Any], keywords: dict[str, Any]) -> None:
        by_place(arguments, keywords, "input", "target")
        _fit_target(index_call(entry, keywords), arguments)

    return prepare


def index_call(entry: Loss, settings: Mapping[str, Any]) -> Call:
    """A loss of class indices with the ignore_index that is among its settings, if any is."""
    ignored = settings.get("ignore_index")
    return Call(entry.name, entry, {} if ignored is None else {"ignore_index": ignored})


def index_module(module: Any) -> Call | None:
    """The loss of class indices that a module is; None for any other."""
    entry = INDEXED_MODULES.get(type(module))
    ignored = getattr(module, "ignore_index", -100)
    settings = {} if ignored == -100 else {"ignore_index": ignored}
    return index_call(entry, settings) if entry else None


def _fit_target(call: Call, arguments: list[Any]) -> None:
    if len(arguments) < 2:
        return
    pred, target = arguments[:2]
    if isinstance(target, int | float):
        target = torch.tensor(target)
    both = isinstance(pred, Tensor) and isinstance(target, Tensor)
    if both and (pred.ndim or target.dtype != torch.int64):
        target = implementations.index_target(call, pred, target)
    arguments[1] = target  # for a single number PyTorch takes an integer as the one class


def _labels(arguments: list[Any], keywords: dict[str, Any]) -> None:
    """Check labels: ctc_loss reads memory that is not its own if a label is out of range."""
    by_place(arguments, keywords, "log_probs", "targets")
    match arguments:
        case [Tensor() as pred, Tensor() as target, *_] if pred.ndim and target.numel():
            classes, lowest, highest = pred.shape[-1], int(target.min()), int(target.max())
            if lowest < 0 or highest >= classes:
                wrong = lowest if lowest < 0 else highest
                message = f"a label is {wrong}, but log_probs has {classes} classes"
                raise ShapeError(message, hint="labels start at 0")


def _copies(*places: int) -> Prepare:
    """Copy arguments at these places, and running statistics: PyTorch writes into them."""

    def copied(value: Any) -> Any:
        return value.clone() if isinstance(value, Tensor) else value

    def prepare(arguments: list[Any], keywords: dict[str, Any]) -> None:
        arguments[:] = [copied(v) if place in places else v for place, v in enumerate(arguments)]
        running = [name for name in keywords if name.startswith("running_")]
        keywords.update({name: copied(keywords[name]) for name in running})

    return prepare


def apply(module: Any, *arguments: Any, **keywords: Any) -> Any:
    """Call a module of torch.nn; one with class indices takes them as its function does."""
    if not isinstance(module, nn.Module):
        message = "only functions and modules of torch.nn can be called"
        raise ExpressionError(message, hint="write a product with *")
    listed = list(arguments)
    if isinstance(module, nn.CTCLoss):
        _labels(listed, keywords)
    elif loss := index_module(module):
        by_place(listed, keywords, "input", "target")
        if len(listed) == 2:
            _fit_target(loss, listed)
    random = type(module).__name__ in operators.RANDOM_MODULES
    call: Function = _on_cpu(module) if random else module
    return call(*listed, **keywords)


def _tensor(data: Any, **keywords: Any) -> Tensor:
    """torch.tensor for plain numbers; a copy of tensors that record would have no history."""
    agenda = [data]
    for item in agenda:
        if isinstance(item, tuple | list):
            agenda.extend(item)
            RESULTS.check(len(agenda), "too many values for torch.tensor")
        elif isinstance(item, Tensor) and item.requires_grad:
            message = "torch.tensor copies numbers, so the gradient is lost"
            raise ExpressionError(message, hint="write stack([a, b])")
    return data.clone() if isinstance(data, Tensor) else torch.tensor(data, **keywords)


def _to(value: Tensor, *arguments: Any, **keywords: Any) -> Tensor:
    """Tensor.to for dtypes: the device is an option of the command."""
    values = (*arguments, *keywords.values())
    if not all(isinstance(value, torch.dtype | Tensor) for value in values):
        hint = "write .to(torch.float64) or .double()"
        raise ExpressionError(".to takes a dtype here", hint=hint)
    return value.to(*arguments, **keywords)


def _cast(name: str) -> Function:
    """The method of tensors that is named after a dtype."""
    method: Function = getattr(Tensor, name)

    def cast(value: Tensor, *arguments: Any, **keywords: Any) -> Any:
        widened = _WIDENED.get(DTYPES[name])
        return value.to(widened) if widened else method(value, *arguments, **keywords)

    return cast


def _composed(entry: Activation | Loss) -> Function:
    """The catalogue's own function; an activation with more arguments is PyTorch's."""
    make = implementations.loss if isinstance(entry, Loss) else implementations.activation
    own: Function = make(Call(entry.name, entry))
    pytorch = pytorch_function(entry.torch)

    def run(*arguments: Any, **keywords: Any) -> Any:
        tensors = [torch.tensor(float(v)) if isinstance(v, int | float) else v for v in arguments]
        if isinstance(entry, Loss) or (len(arguments) == len(entry.operands) and not keywords):
            return own(*tensors, **keywords)
        return pytorch(*arguments, **keywords)

    return run


INDEXED = {
    entry.torch: entry for entry in LOSSES.values() if entry.target in implementations.INDEX_TARGETS
}
_VALUE_LOSSES = {pytorch_function(e.torch) for e in LOSSES.values() if e.torch not in INDEXED}
INDEXED_MODULES: Mapping[type[nn.Module], Loss] = {
    nn.CrossEntropyLoss: LOSSES["cross_entropy"], nn.NLLLoss: LOSSES["nll"],
    nn.MultiMarginLoss: LOSSES["multi_margin"], nn.MultiLabelMarginLoss: LOSSES["multilabel_margin"],
}  # fmt: skip

_PREPARED: Mapping[str, Prepare] = {
    **{path: _class_indices(entry) for path, entry in INDEXED.items()},
    **dict.fromkeys(("F.ctc_loss", "torch.ctc_loss"), _labels),
    # `unsafe` would let it read memory that is not its own, for the same numbers.
    "torch.segment_reduce": lambda arguments, keywords: keywords.pop("unsafe", None),
    **dict.fromkeys(("F.batch_norm", "F.instance_norm"), _copies(1, 2)),
    **dict.fromkeys(("torch.batch_norm", "torch.instance_norm", "torch.native_batch_norm"), _copies(3, 4)),
    **dict.fromkeys(("F.embedding", "F.embedding_bag"), _copies(1)),  # with max_norm
}  # fmt: skip
"""Functions whose arguments are corrected or checked before the call."""

_OWN: Mapping[str, Function] = {
    "python.len": len, "python.float": _number(float), "python.int": _number(int),
    **{f"math.{name}": _whole(getattr(math, name)) for name in operators.WHOLE},
    **{f"Tensor.{name}": _cast(name) for name in ("float", "half", "bfloat16", "cfloat")},
    "Tensor.to": _to, "Module.eval": nn.Module.eval, "Module.train": nn.Module.train,
    **dict.fromkeys(("torch.tensor", "torch.as_tensor", "torch.scalar_tensor"), _tensor),
    **{entry.path: _composed(entry) for entry in CATALOGUE.values() if entry.code},
}  # fmt: skip
