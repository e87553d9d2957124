"""The allow-list of expressions: which names of PyTorch, NumPy and math may be used, and what each
stands for.

PyTorch's names are data, `operators.txt`, made by `generate_operators.py`; NumPy's and math's are
in `spellings.py`. Nothing here imports PyTorch: a function is a path such as `torch.exp`,
`F.mse_loss`, `nn.MSELoss` or `Tensor.relu`, which `gradcli.evaluate` turns into the real one.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from gradcli.catalogue import spellings
from gradcli.catalogue.functions import CATALOGUE

FILE = os.path.join(os.path.dirname(__file__), "operators.txt")


@dataclass(frozen=True)
class Operator:
    """One function: its path, and how many positional arguments it may have so that none says
    `inplace`.
    """

    path: str
    positions: int | None = None


RESERVED = frozenset({"torch", "F", "nn", "np", "math"})
"""Names that an expression reads as PyTorch's, NumPy's and Python's own, so that no input or step
can have them."""

FUNCTION_SPACES = ("F", "torch", "special", "linalg", "fft", "masked")
"""Where a bare name is looked up, in this order."""

SPACES = {
    "torch": "torch",
    "F": "F",
    "nn": "nn",
    "nn.functional": "F",
    "special": "special",
    "linalg": "linalg",
    "fft": "fft",
    "masked": "masked",
    "torch.nn": "nn",
    "torch.nn.functional": "F",
    "torch.special": "special",
    "torch.linalg": "linalg",
    "torch.fft": "fft",
    "torch.masked": "masked",
    "np": "np",
    "np.linalg": "np.linalg",
    "np.fft": "np.fft",
    "numpy": "np",
    "numpy.linalg": "np.linalg",
    "numpy.fft": "np.fft",
    "math": "math",
}
"""What may be written before a dot, and the section of the allow-list that it opens."""

SPELT = ("np", "np.linalg", "np.fft", "math")
"""Sections of names that `gradcli.catalogue.spellings` says in PyTorch's."""

CONSTANTS = {
    "pi": 3.141592653589793,
    "e": 2.718281828459045,
    "inf": float("inf"),
    "nan": float("nan"),
}
"""Numbers under their own names and behind torch, np and math."""

TAU = 6.283185307179586
"""What math has beside them."""

PYTHON_TYPES = {"float": "float64", "int": "int64", "bool": "bool", "complex": "complex128"}
"""What Python's own types mean to PyTorch and NumPy as a dtype."""


LAST_DIMENSION = frozenset(
    {
        "F.softmax",
        "F.log_softmax",
        "F.softmin",
        "torch.softmax",
        "torch.log_softmax",
        "special.softmax",
    }
    | {
        "special.log_softmax",
        "Tensor.softmax",
        "Tensor.log_softmax",
        "nn.Softmax",
        "nn.LogSoftmax",
        "nn.Softmin",
    }
)
"""Functions whose dimension, where it is left out, is the last one."""

_DRAWING = """alpha_dropout bernoulli binomial dropout dropout1d dropout2d dropout3d feature_alpha_dropout feature_dropout
    gumbel_softmax multinomial native_dropout normal poisson rand rand_like randint randint_like randn randn_like randperm
    rrelu"""
DRAWING = frozenset(_DRAWING.split())
"""Functions and methods that draw random numbers, in every namespace."""
_MAY_DRAW = """fractional_max_pool2d fractional_max_pool2d_with_indices fractional_max_pool3d
    fractional_max_pool3d_with_indices gru lobpcg lstm multi_head_attention_forward pca_lowrank rnn_relu rnn_tanh
    scaled_dot_product_attention svd_lowrank"""
RANDOM = DRAWING | frozenset(_MAY_DRAW.split())
"""Those, and others that draw with some arguments."""
_DRAWING_MODULES = """AlphaDropout Dropout Dropout1d Dropout2d Dropout3d FeatureAlphaDropout FractionalMaxPool2d
    FractionalMaxPool3d RReLU"""
RANDOM_MODULES = frozenset(_DRAWING_MODULES.split())
"""Modules of torch.nn that may."""

PYTHON = {name: Operator(f"python.{name}") for name in ("len", "float", "int")}
"""Python's own functions that are allowed."""

TWINS = frozenset({"abs", "max", "min", "pow", "round", "sum"})
"""Functions of PyTorch that share a bare name with one of Python's, which computes plain numbers
and adds up a list."""

WHOLE = {
    name: Operator(f"math.{name}") for name in ("comb", "factorial", "isclose", "isqrt", "perm")
}
"""Functions of math for plain numbers alone: PyTorch has none for tensors under that meaning."""


@cache
def sections() -> Mapping[str, Mapping[str, Operator]]:
    """Every section of the file: its names and what they stand for, whichever PyTorch has them."""
    found: dict[str, dict[str, Operator]] = {}
    for section, words in entries().items():
        found[section] = {}
        for word in words:
            name, _, positions = word.partition("+")[0].partition("-")[0].partition("/")
            found[section][name] = Operator(
                f"{section}.{name}", int(positions) if positions else None
            )
    for section in SPELT:
        found[section] = {name: Operator(f"{section}.{name}") for name in spellings.names(section)}
    found["math"] |= WHOLE
    return found


def entries() -> dict[str, list[str]]:
    """Every section of the file: its entries as they are written."""
    found: dict[str, list[str]] = {}
    section = ""
    with open(FILE, encoding="ascii") as file:
        for line in file:
            if line.startswith("["):
                section = line.strip("[]\n")
                found[section] = []
            elif section:
                found[section] += line.split()
    return found


def in_space(space: str, name: str) -> Operator | None:
    """The function or module class of that name in a section."""
    return sections()[space].get(name)


def find_function(name: str) -> Operator | None:
    """The function that a bare name stands for: the catalogue's, PyTorch's in the order of its
    namespaces, Python's.
    """
    if entry := CATALOGUE.get(name):
        return Operator(entry.path) if entry.code else in_space(*entry.torch.split("."))
    return next(
        (found for space in FUNCTION_SPACES if (found := in_space(space, name))), PYTHON.get(name)
    )


def function_names() -> set[str]:
    """Every bare name of a function."""
    return {*CATALOGUE, *PYTHON}.union(*(sections()[space] for space in FUNCTION_SPACES))
