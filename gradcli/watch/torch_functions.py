"""What is known of the functions of PyTorch: which make no tensor, write in place, or end a graph."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor

from gradcli.watch.detector import Call

_QUIET = frozenset(
    [
        ".shape", ".device", ".dtype", ".requires_grad", ".grad_fn", ".is_leaf", ".ndim", ".layout", ".names", ".itemsize",
        ".nbytes", ".is_sparse", ".is_cuda", ".is_cpu", ".is_mps", ".is_quantized", ".is_nested", ".is_meta", ".output_nr",
        "._version", "._base", "._backward_hooks", ".name", ".retains_grad", "_is_view",
        "dim", "size", "numel", "nelement", "stride", "element_size", "ndimension", "data_ptr", "storage_offset", "type",
        "get_device", "is_contiguous", "is_floating_point", "is_complex", "is_signed", "is_same_size", "is_inference",
        "is_conj", "is_neg", "is_pinned", "is_shared", "untyped_storage", "storage", "allclose", "equal", "register_hook",
        "__len__", "__hash__", "__repr__", "__format__", "__bool__", "__contains__", "__dir__", "__reduce_ex__",
        "manual_seed", "seed", "initial_seed", "get_default_dtype", "set_default_dtype", "get_default_device",
        "result_type", "promote_types", "can_cast",
    ]
)  # fmt: skip
"""Functions that make no tensor whose origin matters."""
LEAVING = frozenset(
    ["item", "tolist", "numpy", "__float__", "__int__", "__index__", "__array__", "__complex__"]
)
"""Functions whose result is not a tensor."""
DETACHING = {
    **dict.fromkeys(("detach", "detach_", ".data"), "detached"),
    **dict.fromkeys(("tensor", "asarray", "as_tensor"), "tensor-copy"),
    **dict.fromkeys(("grad", ".grad"), "second-derivative"),
}
"""Functions whose result never has a graph, and the entries of the mistakes that this may be."""
UNRECORDED = frozenset(["no-grad-block", "inference-mode", "checkpoint-inputs"])
"""The entries of the mistakes that a result without a graph may be because recording was off."""
REENTRANT = "a checkpoint with use_reentrant=True records nothing if no input requires a gradient"
"""What happens there, of the last of these entries."""
FACTORIES = frozenset(["tensor", "as_tensor", "asarray", "from_numpy", "scalar_tensor"])
"""Functions that make a tensor of numbers."""


class Known:
    """What is known of one function of PyTorch."""

    __slots__ = ("listeners", "name", "quiet", "special", "writes")

    def __init__(self, func: Callable[..., Any]) -> None:
        name: str = getattr(func, "__name__", "") or str(func)
        if name in ("__get__", "__set__", "__delete__"):
            attribute = getattr(func, "__self__", None)
            name = f".{getattr(attribute, '__name__', '')}{'=' if name != '__get__' else ''}"
        self.name = name
        self.quiet = name in _QUIET
        if name.startswith("__") and name.endswith("__"):
            others = ("__int__", "__index__", "__invert__")
            writes = name == "__setitem__" or (name.startswith("__i") and name not in others)
        else:
            writes = name == ".data=" or name.endswith("_")
        code = getattr(func, "__code__", None)
        self.writes = writes or bool(code and "inplace" in code.co_varnames[: code.co_argcount])
        """Whether it may write to an operand."""
        self.special: Callable[..., None] | None = None
        self.listeners: list[Callable[[Call], None]] = []


def tensors_in(args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[Tensor]:
    """The tensors, of any shape, among the arguments of a call, also those in nested lists or tuples."""
    found = []
    for argument in (*args, *kwargs.values()) if kwargs else args:
        if isinstance(argument, Tensor):
            found.append(argument)
        elif isinstance(argument, (list, tuple)):
            found += tensors_in(argument, {})
    return found


def written_by(
    name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any], operands: Sequence[Tensor]
) -> Sequence[Tensor]:
    """The tensors that a function may write to."""
    if "out" in kwargs:
        return tensors_in((kwargs["out"],), {})
    if name.startswith(("_foreach_", "_fused_")):
        return tensors_in(args[:1], {})
    return operands[:1] if args and isinstance(args[0], Tensor) else ()


def is_independent(name: str) -> bool:
    """Whether the result of a function is not computed from the values of its operands."""
    return name == "requires_grad_" or name.endswith("_like") or name.startswith("new_")


def first_number(value: Any) -> float | None:
    """The first number of a number or a nested list."""
    while isinstance(value, (list, tuple)) and value:
        value = value[0]
    return float(value) if isinstance(value, (int, float)) else None
