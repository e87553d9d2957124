"""Generates `gradcli/catalogue/operators.txt` from PyTorch: `python -m tools.allow_list`.

A public name is an operator if PyTorch lets tensor-like classes override it (so it neither reads,
writes, loads, compiles nor sets state), if it does not end in `_`, and if one of its native schemas
returns a tensor and changes none of its arguments. Functions of `F` that are written in Python have
no schema and count as well. Exceptions to this rule are listed below, with the reason.

The names of the installed PyTorch are merged into the file, so that it covers every version it was
run with, from the oldest, which its first line names: `name+2.14` exists since 2.14, `name-2.14`
was removed in 2.14. To include older versions, run it with each of them, the newest first.
"""

import importlib
import inspect
import pkgutil
import re
import sys
import textwrap
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from fnmatch import fnmatchcase
from types import ModuleType

import torch
from torch import masked, nn, overrides

from gradcli.catalogue.operators import FILE, entries

DENIED = {
    "the device is the command's": "cpu cuda pin_memory",
    "shows memory that was never written": "resize* empty*",
    "an internal of indexing": "index slice_inverse",
    "a backend's internal": "batch_norm_* miopen_* fbgemm_* to_mkldnn",
    "quantised tensors have no gradient": "quantize* q_per_channel_* choose_qparams_optimized dequantize int_repr",
    "compressed sparse layouts are out of reach": "*col_indices* *row_indices*",
    "needs sparse layouts that no input can have": "hspmm",
    "named dimensions, which are no more since 2.13": "align_* refine_names rename",
    "no number that anyone differentiates": "hash_tensor",
    "no function of tensors": "has_torch_function* handle_torch_function",
}
"""What is left out, by the reason."""

ADDED = {
    # constructors: not overridable, because no argument is a tensor
    "torch": """arange as_tensor bartlett_window blackman_window eye full hamming_window hann_window kaiser_window linspace
        logspace normal ones rand randint randn randperm range scalar_tensor tensor tril_indices triu_indices zeros
        rand_like randint_like randn_like vander"""
    # written in Python, or returning a number instead of a tensor
    " allclose as_strided broadcast_shapes conj equal fill is_complex is_floating_point lobpcg lu numel pca_lowrank"
    " svd_lowrank unique unravel_index",
    # plain functions that nobody can override
    "F": "hardsigmoid hardswish sigmoid tanh upsample upsample_bilinear upsample_nearest",
    "special": "", "linalg": "", "fft": "fftfreq rfftfreq",
    "masked": """amax amin argmax argmin cumprod cumsum log_softmax logaddexp logsumexp mean median norm normalize prod softmax
        softmin std sum var""",
    # casts, sizes, constructors after a tensor's pattern
    "Tensor": """allclose bfloat16 bool byte cdouble cfloat char dim double equal float half int is_complex is_contiguous
        is_floating_point long lu ndimension nelement new_full new_ones new_tensor new_zeros numel short size storage_offset
        stride unflatten unique""",
}  # fmt: skip

PREFIXED = ("special", "linalg", "fft", "masked")
"""Namespaces whose native schemas have their name as a prefix, as in `linalg_inv`."""

SPACES: dict[str, ModuleType | type] = {
    "torch": torch, "F": nn.functional, "special": torch.special, "linalg": torch.linalg, "fft": torch.fft,
    "masked": masked, "Tensor": torch.Tensor,
}  # fmt: skip

FUNCTIONS = "activation channelshuffle distance dropout flatten fold loss padding pixelshuffle pooling upsampling"
"""The files of torch.nn.modules whose classes are functions with settings ..."""
WITH_PARAMETERS = {"MultiheadAttention", "PReLU", "LinearCrossEntropyLoss"}
"""... but for these, which have parameters of their own."""
NO_LAYERS = {
    "Lazy*": "its sizes are known only after the first call",
    "SyncBatchNorm": "needs several processes",
}

PROPERTIES = "H T dtype imag mH mT ndim real shape"
DTYPES = """bfloat16 bool cdouble cfloat complex64 complex128 double float float16 float32 float64 half int int8 int16 int32
    int64 long short uint8"""
CONSTANTS = "e inf nan pi"

HEADER = "# What an expression may use of PyTorch {} and newer (+2.14: since 2.14, -2.14: no more), by tools/allow_list.py."


def pure_schemas() -> set[str]:
    """The native functions that return a tensor and change none of their arguments."""
    pure = set()
    for schema in torch._C._jit_get_all_schemas():
        space, _, name = schema.name.partition("::")
        returns_tensor = any("Tensor" in str(result.type) for result in schema.returns)
        changes = schema.is_mutable or any(argument.is_out for argument in schema.arguments)
        if space == "aten" and returns_tensor and not changes:
            pure.add(name)
    return pure


def denied(name: str) -> bool:
    """Whether `name` is private, works in place, or is on the deny list."""
    hidden = name.startswith("_") or name.endswith("_")
    patterns = " ".join(DENIED.values()).split()
    return hidden or any(fnmatchcase(name, pattern) for pattern in patterns)


def operators(space: str, overridable: AbstractSet[object], pure: set[str]) -> Iterator[str]:
    """The operators of one namespace, each followed by its `inplace_position`."""
    home = SPACES[space]
    for name in sorted(vars(home) if space == "masked" else dir(home)):
        value = getattr(home, name)
        by_rule = callable(value) and not isinstance(value, type) and value in overridable
        schema = f"{space}_{name}" if space in PREFIXED else name
        by_rule = by_rule and (space == "F" or schema in pure)
        if name in ADDED[space].split() or (by_rule and not denied(name)):
            yield name + inplace_position(value)


def inplace_position(function: object) -> str:
    """`/N` for a function whose argument number N, counted from 0, is `inplace`, else empty."""
    if not inspect.isfunction(function) and not inspect.isclass(function):
        return ""
    names = list(inspect.signature(function).parameters)
    return f"/{names.index('inplace')}" if "inplace" in names else ""


def modules(*, layers: bool) -> Iterator[str]:
    """The classes of torch.nn that can be called: functions with settings, or `layers`, those that
    have parameters, or contain or are like modules that do.
    """
    for file in pkgutil.iter_modules(nn.modules.__path__):
        home = importlib.import_module(f"torch.nn.modules.{file.name}")
        for name in getattr(home, "__all__", ()):
            module = getattr(nn, name, None)
            is_function = file.name in FUNCTIONS.split() and name not in WITH_PARAMETERS
            refused = any(fnmatchcase(name, pattern) for pattern in NO_LAYERS)
            callable_ = getattr(module, "forward", nn.Module.forward) is not nn.Module.forward
            if callable_ and not refused and is_function is not layers:
                yield name + inplace_position(module)


def fields() -> set[str]:
    """The names of the results of functions with several."""
    kinds = [kind for kind in vars(torch.return_types).values() if isinstance(kind, type)]
    kinds.append(importlib.import_module("torch.nn.modules.adaptive")._ASMoutput)
    return {field for kind in kinds for field in getattr(kind, "__match_args__", ())}


def tables() -> dict[str, list[str]]:
    """Every section of the file: its name and its entries."""
    overridable, pure = set(overrides.get_testing_overrides()), pure_schemas()
    known = {space: list(operators(space, overridable, pure)) for space in SPACES}
    return known | {
        "nn": sorted(modules(layers=False)), "layers": sorted(modules(layers=True)),
        "properties": PROPERTIES.split(), "fields": sorted(fields()),
        "dtypes": DTYPES.split(), "constants": CONSTANTS.split(),
    }  # fmt: skip


def merged(
    known: dict[str, list[str]], found: dict[str, list[str]], version: str, oldest: str
) -> dict[str, list[str]]:
    """The file's sections, which are those of PyTorch `oldest` and newer, with the names `found` in
    PyTorch `version` merged in, if they differ.
    """

    def marked(entry: str, marks: dict[str, str], there: set[str]) -> str:
        since, until = marks.get("+", ""), marks.get("-", "")
        if entry in there:
            since = version if since and _older(version, since) else since
            until = "" if until and not _older(version, until) else until
        elif _older(version, since or oldest):
            since = since or oldest
        else:
            until = version if not until or _older(version, until) else until
        return entry + (f"+{since}" if since else "") + (f"-{until}" if until else "")

    sections: dict[str, list[str]] = {}
    for section, there in found.items():
        old = {
            entry: {mark[0]: mark[1:] for mark in marks}
            for entry, *marks in map(split, known.get(section, ()))
        }
        added = {"-": oldest} if _older(version, oldest) else {"+": version}
        marks = old | {entry: added for entry in there if entry not in old}
        order = sorted(marks) if there == sorted(there) else marks
        sections[section] = [marked(entry, marks[entry], set(there)) for entry in order]
    return sections


def split(entry: str) -> list[str]:
    """An entry of the file and its marks."""
    return re.split(r"(?=[+-][0-9])", entry)


def _older(one: str, other: str) -> bool:
    return tuple(map(int, one.split("."))) < tuple(map(int, other.split(".")))


def installed() -> str:
    """The installed PyTorch's version as marks have it: 2.14."""
    return ".".join(torch.__version__.split(".")[:2])


def render(sections: dict[str, list[str]], oldest: str) -> str:
    """The text of the file: a heading and wrapped names per section."""
    lines = [HEADER.format(oldest)]
    for section, names in sections.items():
        wrapped = textwrap.wrap(" ".join(names), 119, break_on_hyphens=False)
        lines += ["", f"[{section}]", *wrapped]
    return "\n".join(lines) + "\n"


def renewed() -> str:
    """The text that the file must have for the installed PyTorch."""
    with open(FILE, encoding="ascii") as file:
        oldest = file.readline().split()[8]
    version = installed()
    sections = merged(entries(), tables(), version, oldest)
    return render(sections, version if _older(version, oldest) else oldest)


if __name__ == "__main__":
    text = renewed()
    with open(FILE, "w", encoding="ascii") as file:
        file.write(text)
    sys.stdout.write(f"{FILE}\n")
