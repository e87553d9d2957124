"""The size of a result from the arguments alone: what is too large is refused before it is made.

Functions whose arguments name a size, or whose result holds products of elements, are in the table
`COUNTS`. Tensors in all other calls at most broadcast. Anything else is counted once it exists:
views cost nothing until then, and the supervising process bounds the memory.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from itertools import zip_longest
from math import inf, prod
from typing import Any, TypeAlias

import torch
from torch import Tensor

from gradcli.errors import SizeError
from gradcli.language.limits import ELEMENTS

Count: TypeAlias = Callable[..., float]
"""The elements of a result, from the arguments of the call."""


@cache
def checker(name: str) -> Callable[[tuple[Any, ...], Mapping[str, Any]], None]:
    """The check of the arguments of a call of `name` (without its namespace), before the call.

    The check raises SizeError if the result will hold more elements than are allowed. Arguments
    that make no sense pass: PyTorch has better messages for them.
    """
    count = COUNTS.get(name)

    def check_count(arguments: tuple[Any, ...], keywords: Mapping[str, Any]) -> None:
        assert count is not None
        try:
            elements = count(*arguments, **keywords)
        except (TypeError, ValueError, AttributeError, LookupError, ArithmeticError, RuntimeError):
            return
        refuse(name, elements)

    def check_broadcast(arguments: tuple[Any, ...], keywords: Mapping[str, Any]) -> None:
        most = 1
        for value in (*arguments, *keywords.values()) if keywords else arguments:
            if isinstance(value, Tensor):
                most *= value.numel()
        if most > ELEMENTS.value:
            tensors = [t for t in (*arguments, *keywords.values()) if isinstance(t, Tensor)]
            refuse(name, broadcast(t.shape for t in tensors if t.dtype != torch.int64))

    return check_count if count else check_broadcast


def refuse(name: str, elements: float) -> None:
    """Raise SizeError if `elements` are more than are allowed."""
    if elements > ELEMENTS.value:
        count = format(elements, ",.0f" if elements < 1e18 else ".0e")
        count = "countless" if elements == inf else count
        allowed = f"at most {ELEMENTS.value:,} are allowed ({ELEMENTS.reason})"
        raise SizeError(f"{name} would make {count} elements, and {allowed}")


def broadcast(shapes: Iterable[Iterable[int]]) -> int:
    """The elements of what these shapes broadcast to."""
    return prod(map(max, zip_longest(*(reversed(tuple(shape)) for shape in shapes), fillvalue=1)))


def _flat(sizes: Any) -> list[float]:
    """Sizes given one by one, or in one tuple or list."""
    if not isinstance(sizes, tuple | list):
        return [float(sizes)]
    # Two levels and no more: a few lines can nest sequences without end.
    rows = (size if isinstance(size, tuple | list) else [size] for size in sizes)
    return [float(number) for row in rows for number in row]


def _sized(*size: Any, **more: Any) -> float:
    return prod(_flat(more.get("size", size)))


def _steps(start: float, end: float | None = None, step: float = 1, **more: Any) -> float:
    start, end = (0, start) if end is None else (start, end)
    return (end - start) / step


def _matmul(a: Tensor, b: Tensor, *_: Any, **more: Any) -> float:
    if a.ndim < 2 or b.ndim < 2:
        return 0
    return broadcast([a.shape[:-2], b.shape[:-2]]) * a.shape[-2] * b.shape[-1]


def _einsum(equation: str, *operands: Any) -> float:
    tensors = operands[0] if isinstance(operands[0], tuple | list) else operands
    inputs, arrow, output = equation.replace(" ", "").partition("->")
    sizes: dict[str, int] = {}
    for letters, tensor in zip(inputs.split(","), tensors, strict=True):
        sizes |= dict(zip(letters, tensor.shape, strict=True))
    single = "".join(letter for letter in sizes if inputs.count(letter) == 1)
    return prod(sizes[letter] for letter in (output if arrow else single))


def _padded(x: Tensor, pad: Any, *_: Any, **more: Any) -> float:
    sides = [low + high for low, high in zip(pad[::2], pad[1::2], strict=True)]
    return prod(size + side for size, side in zip_longest(reversed(x.shape), sides, fillvalue=0))


def _resampled(
    x: Tensor, size: Any = None, scale_factor: Any = None, *_: Any, **more: Any
) -> float:
    if size is not None:
        return prod(x.shape[:2]) * prod(_spread(size, x.ndim - 2))
    return x.numel() * prod(_spread(scale_factor, x.ndim - 2))


def _spread(value: Any, count: int) -> list[float]:
    flat = _flat(value)
    return flat * count if len(flat) == 1 else flat


def _transposed(
    x: Tensor, weight: Tensor, bias: Any = None, stride: Any = 1, *_: Any, **more: Any
) -> float:
    steps = _spread(stride, x.ndim - 2)
    spatial = prod((n - 1) * step + 1 for n, step in zip(x.shape[2:], steps, strict=True))
    return x.shape[0] * weight.shape[1] * spatial


def _spectrum(x: Tensor, n: Any = None, *_: Any, **more: Any) -> float:
    sizes = _flat(more.get("s", n) if more.get("s", n) is not None else x.shape[-1])
    return x.numel() / prod(x.shape[-len(sizes) :]) * prod(sizes)


_COUNTS: Mapping[str, Count] = {
    "empty zeros ones rand randn": _sized,
    "new_zeros new_ones": lambda x, *size, **more: _sized(*size, **more),
    "full new_full randint normal":
        lambda *all, **more: _sized(
            *(size for size in all if isinstance(size, tuple | list)), **more
        ),
    "arange range": _steps,
    "linspace logspace": lambda start, end, steps, *_, **more: float(steps),
    "eye tril_indices triu_indices": lambda n, m=None, *_, **more: float(n) * (n if m is None else m),
    "randperm bartlett_window blackman_window hamming_window hann_window kaiser_window fftfreq rfftfreq":
        lambda n, *_, **more: float(n),
    "repeat tile": lambda x, *size, **more: x.numel() * prod(_flat(more.get("dims", size))),
    "outer ger kron": lambda a, b, *_, **more: a.numel() * b.numel(),
    "matmul mm bmm": _matmul,
    "dot vdot inner vecdot mv addmv addmm baddbmm solve cholesky_solve lu_solve ormqr bilinear embedding cosine_similarity":
        lambda *_, **more: 0,
    "linear": lambda x, weight, *_, **more: x.numel() / weight.shape[-1] * weight.shape[0],
    "tensordot": lambda a, b, dims=2, **more: a.numel() * b.numel() if dims == 0 else 0,
    "einsum": _einsum,
    "cartesian_prod": lambda *all: len(all) * prod(x.numel() for x in all),
    "combinations": lambda x, r=2, *_, **more: inf if r > 64 else float(x.numel()) ** r,  # PyTorch goes through all tuples
    "repeat_interleave": lambda x, repeats, *_, **more:
        x.numel() * float(repeats.double().mean() if isinstance(repeats, Tensor) else repeats),
    "block_diag": lambda *all: prod(sum(x.shape[side] for x in all) for side in (0, 1)),
    "cdist": lambda a, b, *_, **more: a.numel() * b.shape[-2] / a.shape[-1],
    "pdist": lambda x, *_, **more: len(x) ** 2 / 2,
    "cov corrcoef": lambda x, *_, **more: len(x) ** 2 if x.ndim == 2 else 1,
    "diag diagflat diag_embed":
        lambda x, diagonal=0, *_, **more: (x.numel() + abs(diagonal)) ** 2 if x.ndim == 1 else 0,
    "vander": lambda x, n=None, **more: x.numel() * (more.get("N") or n or x.shape[-1]),
    "one_hot": lambda x, num_classes=-1: x.numel() * (num_classes if num_classes >= 0 else int(x.max()) + 1),
    "bincount": lambda x, weights=None, minlength=0: max(int(x.max()) + 1, minlength),
    "histc histogram": lambda x, bins=100, *_, **more: float(bins),
    "pad constant_pad_nd": _padded,
    "interpolate upsample upsample_bilinear upsample_nearest": _resampled,
    "conv_transpose1d conv_transpose2d conv_transpose3d": _transposed,
    "fft ifft rfft irfft hfft ihfft fft2 ifft2 rfft2 irfft2 fftn ifftn rfftn irfftn": _spectrum,
    "fold": lambda x, output_size, *_, **more: prod(x.shape[:-2]) * prod(_spread(output_size, 2)),
    "affine_grid": lambda theta, size, *_, **more: 2 * prod(size),
    **{f"adaptive_avg_pool{n}d adaptive_max_pool{n}d":
        lambda x, output_size, *_, n=n, **more: prod(x.shape[:-n]) * prod(_spread(output_size, n)) for n in (1, 2, 3)},
}  # fmt: skip
COUNTS = {name: count for names, count in _COUNTS.items() for name in names.split()}
"""The elements of the results of functions that do not just broadcast their operands."""
