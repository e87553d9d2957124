"""Samples of PyTorch's own operator database, typed as expressions.

A sample's tensors become inputs t0, t1, ... (a complex one is put together from two real ones), all
else becomes text.
"""

import contextlib
import importlib.util
import itertools
import sys
import types
import unittest
import warnings
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from importlib.machinery import ModuleSpec
from typing import Any, TypeAlias

import pytest
import torch
from torch import Tensor, nn

from gradcli.catalogue import operators
from gradcli.language.expressions.refused import KEYWORDS
from tests.choice import rare
from tests.program import TORCH

PARTS = 16
"""Of how many tests the operators are."""
SEED = 42
"""The number with which PyTorch's database seeds its random functions."""

Form: TypeAlias = Callable[[str, list[str], list[str]], str]
"""From the input, the other positional arguments and the keyword arguments of a sample to its
expression."""


class UntypableError(Exception):
    """A sample holds something that nobody can type in a shell."""


def seed(number: int) -> None:
    """Seed the generator alone; torch.manual_seed formats the call stack three times for devices
    that are not there.
    """
    torch.default_generator.manual_seed(number)


def key(operator: Any) -> str:
    """The name of an entry of the database, with its variant."""
    return f"{operator.name}/{operator.variant_test_name}".rstrip("/")


@cache
def entries() -> dict[str, Any]:
    """Every entry that PyTorch differentiates on the CPU in double precision.

    The database takes seconds to load: no file of tests has it loaded when tests are collected.
    """
    if importlib.util.find_spec("expecttest") is None:
        # PyTorch's test helpers import it; the database itself does without.
        stand_in = types.ModuleType("expecttest")
        stand_in.__spec__ = ModuleSpec("expecttest", None)
        stand_in.TestCase = unittest.TestCase  # type: ignore[attr-defined]
        sys.modules["expecttest"] = stand_in
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torch.testing._internal.common_methods_invocations import op_db
    return {
        key(operator): operator
        for operator in op_db
        if operator.supports_autograd and {torch.float64, torch.complex128} & set(operator.dtypes)
    }


@cache
def typable() -> dict[str, Any]:
    """Those that can be typed as an expression."""
    return {
        name: operator
        for name, operator in entries().items()
        if name not in NOT_TYPED and not name.startswith("torch.ops.")
    }


def in_parts(
    names: Callable[[], Iterable[str]], usual: int = PARTS
) -> Callable[[Callable[[str], None]], Any]:
    """Makes a test of one operator PARTS tests of some of them each, which names those that fail.

    The `usual` first ones are tried with every run, the others with `just exhaustive`.
    """

    def of_all(test: Callable[[str], None]) -> Any:
        def of_some(part: int) -> None:
            tried, failed = 0, {}
            for name in itertools.islice(names(), part, None, PARTS):
                tried += 1
                try:
                    test(name)
                except Exception as error:
                    failed[name] = error
            assert tried
            if failed:
                raise ExceptionGroup(", ".join(failed), [*failed.values()])

        parts = [part if part < usual else rare(part) for part in range(PARTS)]
        return pytest.mark.parametrize("part", parts)(of_some)

    return of_all


PRIVATE = "PyTorch keeps it for itself: its name begins with _, or it is known to torch.ops alone"
SPARSE = "an input cannot be sparse"
NOT_TYPED = {
    "_batch_norm_with_update": PRIVATE,
    "_native_batch_norm_legit": PRIVATE,
    "_softmax_backward_data": PRIVATE,
    "_unsafe_masked_index": PRIVATE,
    "_unsafe_masked_index_put_accumulate": PRIVATE,
    "_upsample_bilinear2d_aa": PRIVATE,
    "max_pool2d_with_indices_backward": PRIVATE,
    "native_dropout_backward": PRIVATE,
    "nn.functional.linear_cross_entropy/chunked": "its options are an object of a class of their own",
    "nn.functional.linear_cross_entropy/chunked_none": "its options are an object of a class of their own",
    "sparse.mm/reduce": SPARSE,
    "sparse.sampled_addmm": SPARSE,
    "to": "every sample names a memory format; with a dtype alone it is allowed",
    "zero_": "works in place; the pure form is 0*x",
}
"""Entries of the database that nobody can type as an expression, and why. So are those of torch.ops."""


def samples(operator: Any, count: int) -> list[Any]:
    """The first, the middle and the last few of the entry's first forty samples, `count` in all."""
    dtype = torch.float64 if torch.float64 in operator.dtypes else torch.complex128
    seed(SEED)
    # Not `operator.sample_inputs`: it reads the whole call stack for every sample.
    found = list(
        itertools.islice(
            operator.sample_inputs_func(operator, "cpu", dtype, requires_grad=True), 40
        )
    )
    chosen = (
        {*range(min(count - 2, len(found))), len(found) // 2, len(found) - 1} if found else set()
    )
    return [found[i] for i in sorted(chosen)]


class Typed:
    """One sample as an expression: its `text`, its `inputs`, and `plain`, the same call without
    gradcli.
    """

    def __init__(self, operator: Any, sample: Any) -> None:
        self.inputs: dict[str, Tensor] = {}
        self._tensors: list[Callable[[], Tensor]] = []
        self._operator, self._sample = operator, sample
        self.text = self._expression()

    def plain(self) -> Any:
        """What PyTorch computes from the same inputs."""
        tensors = (make() for make in self._tensors)
        values = [_replaced(value, tensors) for value in (self._sample.input, *self._sample.args)]
        keywords = {name: _replaced(value, tensors) for name, value in self._sample.kwargs.items()}
        return self._operator(*values, **keywords)

    def _expression(self) -> str:
        name, sample = self._operator.name, self._sample
        first, *rest = [self._text(value) for value in (sample.input, *sample.args)]
        if refused := [
            keyword for keyword in sample.kwargs if keyword in KEYWORDS or keyword.startswith("_")
        ]:
            raise UntypableError(f"{refused[0]}=")
        keywords = [f"{keyword}={self._text(value)}" for keyword, value in sample.kwargs.items()]
        if form := FORMS.get(key(self._operator)) or FORMS.get(name):
            return form(first, rest, keywords)
        if operators.in_space("properties", name):
            return f"{first}.{name}"
        if name.startswith("nn.functional."):
            return _call(f"F.{name.removeprefix('nn.functional.')}", first, *rest, *keywords)
        if "." in name or operators.in_space("torch", name):
            return _call(f"torch.{name}", first, *rest, *keywords)
        return _call(f"{first}.{name}", *rest, *keywords)

    def _text(self, value: Any) -> str:
        match value:
            case Tensor():
                return self._tensor(value)
            case bool() | None | str() | complex():
                return repr(value)
            case int() | float():
                return repr(value) if value >= 0 else f"({value!r})"
            case tuple():
                return f"({''.join(f'{self._text(item)}, ' for item in value)})"
            case list():
                return f"[{', '.join(map(self._text, value))}]"
            case slice():
                return ":".join(
                    "" if part is None else str(part)
                    for part in (value.start, value.stop, value.step or 1)
                )
            case torch.dtype():
                return str(value)
            case nn.PairwiseDistance():
                return "nn.PairwiseDistance()"
        if value is Ellipsis:
            return "..."
        raise UntypableError(type(value).__name__)

    def _tensor(self, tensor: Tensor) -> str:
        if tensor.layout is not torch.strided:
            raise UntypableError("a sparse tensor")
        if not tensor.is_complex():
            leaf = tensor.detach().requires_grad_(tensor.requires_grad)
            self._tensors.append(lambda: leaf)
            return self._name(leaf)
        real, imag = (
            part.detach().clone().requires_grad_(tensor.requires_grad)
            for part in (tensor.real, tensor.imag)
        )
        self._tensors.append(lambda: torch.complex(real, imag))
        return f"torch.complex({self._name(real)}, {self._name(imag)})"

    def _name(self, leaf: Tensor) -> str:
        name = f"t{len(self.inputs)}"
        self.inputs[name] = leaf
        return name


def typed_samples(name: str, count: int) -> Iterator[Typed]:
    """The samples of an operator that can be typed, of the first, the middle and the last few."""
    for sample in samples(typable()[name], count):
        with contextlib.suppress(UntypableError):
            yield Typed(typable()[name], sample)


def _call(function: str, *arguments: str) -> str:
    return f"{function}({', '.join(arguments)})"


def _replaced(value: Any, tensors: Iterator[Tensor]) -> Any:
    """The same value with every tensor in it replaced by the next one."""
    if isinstance(value, Tensor):
        return next(tensors)
    if isinstance(value, tuple | list) and not isinstance(value, torch.Size):
        return type(value)(_replaced(item, tensors) for item in value)
    return value


def _infix(symbol: str) -> Form:
    return lambda x, rest, keywords: f"{rest[0]} {symbol} {x}"


def _index(x: str, rest: list[str], keywords: list[str]) -> str:
    index = rest[0]
    several = index.startswith("(") and index != "()" and "-" not in index[:2]
    several |= index.startswith("[") and ":" in index  # PyTorch until 2.7 takes a list of them
    return f"{x}[{index[1:-1] if several else index}]"


def _slice(x: str, rest: list[str], keywords: list[str]) -> str:
    given = dict(word.split("=") for word in keywords) | dict(
        zip(("dim", "start", "end", "step"), rest, strict=False)
    )
    return f"{x}[{':, ' * int(given['dim'])}{given.get('start', '')}:{given.get('end', '')}:{given.get('step', '')}]"


def _swapped(function: str) -> Form:
    return lambda x, rest, keywords: _call(function, rest[0], x, *rest[1:], *keywords)


def _low_rank(function: str) -> Form:
    return lambda x, rest, keywords: _call(function, f"{x} @ {rest[0]}.mT", *rest[1:], *keywords)


FORMS: dict[str, Form] = {
    "__getitem__": _index,
    "slice": _slice,
    **{
        f"__r{name}__": _infix(symbol)
        for name, symbol in {
            "add": "+", "sub": "-", "mul": "*", "div": "/", "mod": "%", "pow": "**", "matmul": "@",
        }.items()
    },
    "einsum": _swapped("torch.einsum"),
    "polygamma": _swapped("torch.polygamma"),
    "special.polygamma": _swapped("torch.special.polygamma"),
    "normal/number_mean": _swapped("torch.normal"),
    "where": _swapped("torch.where"),
    "nn.functional.embedding": _swapped("F.embedding"),
    "svd_lowrank": _low_rank("torch.svd_lowrank"),
    "pca_lowrank": _low_rank("torch.pca_lowrank"),
    "linalg.lstsq/grad_oriented": lambda x, rest, keywords: _call("torch.linalg.lstsq", x, *rest, *keywords)
    + ("" if TORCH >= (2, 7) else "[0]"),
    "linalg.pinv/singular": _low_rank("torch.linalg.pinv"),
    "_segment_reduce": lambda x, rest, keywords: _call("torch.segment_reduce", x, *rest, *keywords),
}  # fmt: skip
"""Entries that the database calls otherwise than by their name with the sample's arguments in
order."""
