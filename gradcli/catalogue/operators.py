"""The allow-list of expressions: the names of PyTorch, NumPy and math, and their functions.

PyTorch's names are data, `operators.txt`, made by `tools/allow_list.py`; NumPy's and math's are
in `spellings.py`. Nothing here imports PyTorch: a function is a path such as `torch.exp`,
`F.mse_loss`, `nn.MSELoss` or `Tensor.relu`, which `gradcli.evaluate` turns into the real one.
"""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from gradcli.catalogue import spellings
from gradcli.catalogue.functions import CATALOGUE

FILE = os.path.join(os.path.dirname(__file__), "operators.txt")


@dataclass(frozen=True)
class Operator:
    """A function: its path, and the number of its positional arguments before `inplace`."""

    path: str
    positions: int | None = None


RESERVED = frozenset({"torch", "F", "nn", "np", "math"})
"""Namespaces of PyTorch, NumPy and Python, which no input or step can have as its name."""

FUNCTION_SPACES = ("F", "torch", "special", "linalg", "fft", "masked")
"""The namespaces in which a bare name is looked up, in this order."""

SPACES = {
    "torch": "torch", "nn": "nn", "F": "F", "nn.functional": "F", "torch.nn": "nn", "torch.nn.functional": "F",
    "special": "special", "linalg": "linalg", "fft": "fft", "masked": "masked",
    "torch.special": "special", "torch.linalg": "linalg", "torch.fft": "fft", "torch.masked": "masked",
    "np": "np", "np.linalg": "np.linalg", "np.fft": "np.fft",
    "numpy": "np", "numpy.linalg": "np.linalg", "numpy.fft": "np.fft", "math": "math",
}  # fmt: skip
"""What may be written before a dot, and its section of the allow-list."""

SPELT = ("np", "np.linalg", "np.fft", "math")
"""Sections of names whose meaning in PyTorch is in `gradcli.catalogue.spellings`."""

CONSTANTS = {"pi": math.pi, "e": math.e, "inf": math.inf, "nan": math.nan}
"""Numbers by their own names, and as names of torch, np and math."""

TAU = math.tau
"""A constant of math alone."""

PYTHON_TYPES = {"float": "float64", "int": "int64", "bool": "bool", "complex": "complex128"}
"""Python's own types as dtypes of PyTorch and NumPy."""

LAST_DIMENSION = frozenset({
    "F.softmax", "F.log_softmax", "F.softmin", "torch.softmax", "torch.log_softmax", "special.softmax",
    "special.log_softmax", "Tensor.softmax", "Tensor.log_softmax", "nn.Softmax", "nn.LogSoftmax", "nn.Softmin",
    "torch.logsumexp", "special.logsumexp", "Tensor.logsumexp", "masked.softmax", "masked.log_softmax", "masked.softmin",
})  # fmt: skip
"""Functions whose dimension is the last one by default."""

_DRAWING = """alpha_dropout bernoulli binomial dropout dropout1d dropout2d dropout3d feature_alpha_dropout feature_dropout
    gumbel_softmax multinomial native_dropout normal poisson rand rand_like randint randint_like randn randn_like randperm
    rrelu"""
DRAWING = frozenset(_DRAWING.split())
"""Functions and methods that draw random numbers, in every namespace."""
_MAY_DRAW = """fractional_max_pool2d fractional_max_pool2d_with_indices fractional_max_pool3d
    fractional_max_pool3d_with_indices gru lobpcg lstm multi_head_attention_forward pca_lowrank rnn_relu rnn_tanh
    scaled_dot_product_attention svd_lowrank"""
RANDOM = DRAWING | frozenset(_MAY_DRAW.split())
"""Those, and others that draw random numbers for some arguments."""
_DRAWING_MODULES = """AlphaDropout Dropout Dropout1d Dropout2d Dropout3d FeatureAlphaDropout FractionalMaxPool2d
    FractionalMaxPool3d RReLU"""
RANDOM_MODULES = frozenset(_DRAWING_MODULES.split())
"""Modules of torch.nn that may draw random numbers."""

PYTHON = {name: Operator(f"python.{name}") for name in ("len", "float", "int")}
PYTHON["range"] = Operator("torch.arange")
"""Python's own functions that are allowed. The bare `range` is one of them, not torch.range, whose end
is included: arange gives the same whole numbers, as an index or a tensor."""

TWINS = frozenset({"abs", "max", "min", "pow", "round", "sum"})
"""Functions of PyTorch with the name of one of Python's, which computes plain numbers and lists."""

WHOLE = {n: Operator(f"math.{n}") for n in ("comb", "factorial", "isclose", "isqrt", "perm")}
"""Functions of math for plain numbers alone: PyTorch has no such function of tensors."""


@cache
def sections() -> Mapping[str, Mapping[str, Operator]]:
    """The names of every section and their functions, of all versions of PyTorch."""
    functions: dict[str, dict[str, Operator]] = {}
    for section, words in entries().items():
        functions[section] = {}
        for word in words:
            name, _, count = word.partition("+")[0].partition("-")[0].partition("/")
            path = f"{'nn' if section == 'layers' else section}.{name}"
            functions[section][name] = Operator(path, int(count) if count else None)
    for section in SPELT:
        names = spellings.names(section)
        functions[section] = {name: Operator(f"{section}.{name}") for name in names}
    functions["math"] |= WHOLE
    functions["nn"] |= functions["layers"]
    return functions


def entries() -> dict[str, list[str]]:
    """The entries of every section of the file, as written."""
    words: dict[str, list[str]] = {}
    section = ""
    with open(FILE, encoding="ascii") as file:
        for line in file:
            if line.startswith("["):
                section = line.strip("[]\n")
                words[section] = []
            elif section:
                words[section] += line.split()
    return words


def in_space(space: str, name: str) -> Operator | None:
    """The function or module class of that name in a section."""
    return sections()[space].get(name)


def find_function(name: str) -> Operator | None:
    """The function of a bare name: the catalogue's, Python's, or PyTorch's by its namespaces."""
    if entry := CATALOGUE.get(name):
        return Operator(entry.path) if entry.code else in_space(*entry.torch.split("."))
    functions = (in_space(space, name) for space in FUNCTION_SPACES)
    return PYTHON.get(name) or next(filter(None, functions), None)


def function_names() -> set[str]:
    """Every bare name of a function."""
    return {*CATALOGUE, *PYTHON}.union(*(sections()[space] for space in FUNCTION_SPACES))
