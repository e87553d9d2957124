"""Every name under `np.` and `math.` against NumPy and Python themselves: the same numbers, or
refused.
"""

import ast
import inspect
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from gradcli.catalogue import operators, spellings
from gradcli.errors import GradcliError
from gradcli.evaluate import machine
from gradcli.language.expressions.expression import parse
from gradcli.language.source import Source
from tests.choice import rare

RNG = np.random.default_rng(5)
SPECIAL = np.array([math.nan, math.inf, -math.inf, 0.0, -0.0, 1.0, -1.0, 0.5, -1.5, 2.5, 3.0])
SPREAD = RNG.normal(size=(4, 4)) + 3 * np.eye(4)
GROUPS: dict[str, tuple[Any, Any]] = {
    "vectors": (RNG.normal(size=3), RNG.normal(size=3)),
    "parts": (RNG.uniform(0.1, 0.9, size=6), RNG.uniform(0.1, 0.9, size=6)),
    "large": (RNG.uniform(1.5, 9, size=5), RNG.uniform(1.5, 9, size=5)),
    "special": (SPECIAL, SPECIAL[::-1].copy()),
    "matrices": (SPREAD, RNG.normal(size=(4, 4))),
    "symmetric": (SPREAD @ SPREAD.T, RNG.normal(size=4)),
    "wide": (RNG.normal(size=(2, 3)), RNG.normal(size=(2, 3))),
    "cubes": (RNG.normal(size=(2, 4, 4)), RNG.normal(size=(2, 4, 4))),
    "mixed": (RNG.normal(size=(2, 3)), RNG.normal(size=3)),
    "steep": (RNG.normal(size=(2, 3)), RNG.normal(size=(4, 3, 2))),
    "sorted": (np.sort(RNG.normal(size=5)), RNG.normal(size=4)),
    "complex": (
        RNG.normal(size=3) + 1j * RNG.normal(size=3),
        RNG.normal(size=3) + 1j * RNG.normal(size=3),
    ),
    "scalars": (np.float64(1.25), np.float64(0.75)),
    "integers": (np.array([6, 0, 3, 5, 1, 1]), np.array([4, 2, 9, 5, 1, 2])),
    "bools": (np.array([True, False, True]), np.array([True, True, False])),
}
"""Two arrays, a and b, to call each function with."""

NUMBERS = {
    "tenths": ("0.3", "0.7"),
    "numbers": ("2.75", "1.5"),
    "negative": ("-1.75", "0.5"),
    "whole": ("7", "3"),
}
"""Two numbers for the functions of math."""

SECOND = frozenset(
    {"b", "x2", "v", "y", "a2", "q", "k", "weights", "other", "base", "test_elements"}
)
"""Parameters that get the second array."""
VALUES: dict[str, tuple[str, ...]] = {
    "a_min": ("0.2",), "a_max": ("0.6",), "min": ("0.2",), "max": ("0.6",), "decimals": ("1",),
    "axis": ("0", "-1"), "axes": ("(1, 0)", "(0, 1)", "(0,)", "1", "([1], [0])"), "axis1": ("0",), "axis2": ("1",),
    "source": ("0",), "destination": ("-1",), "keepdims": ("True",), "ddof": ("1", "0"), "weights": ("b",),
    "fweights": ("[1, 2, 1, 3]", "[1, 2, 1]"), "aweights": ("[1., 2., 1., 3.]", "[1., 2., .5]"), "n": ("2", "3", "5"),
    "prepend": ("b",), "append": ("b",), "edge_order": ("2",), "dx": ("0.5",), "x": ("b",), "minlength": ("9",),
    "bins": ("4",), "side": ("'right'",), "q": ("0.3", "[0.1, 0.5]"), "method": ("'lower'", "'midpoint'"), "i": ("3",),
    "ord": ("1", "2", "'fro'", "inf"), "p": ("1", "'fro'"), "k": ("1", "-1"), "full_matrices": ("False",), "ind": ("1",),
    "s": ("(2, 2)",), "norm": ("'ortho'",), "d": ("0.5",), "N": ("4", "3"), "M": ("2",), "increasing": ("True",),
    "shape": ("(2, 3)", "(-1,)", "(4, 4, 4)", "3"), "fill_value": ("2.5",), "start": ("1", "1."),
    "dtype": ("np.float64", "float"),
    "stop": ("7", "7.5"), "step": ("2",), "num": ("4",), "base": ("2.",), "indices": ("[2, 0]", "1"), "shift": ("1", "-2"),
    "indices_or_sections": ("2", "[1, 2]", "3"), "repeats": ("2",), "reps": ("2", "(2, 1)"), "mode": ("'constant'",),
    "pad_width": ("1", "(1, 2)", "((1, 0), (2, 1))", "((1, 2),)"), "constant_values": ("3.",), "rtol": ("0.5",),
    "atol": ("0.5",), "equal_nan": ("True",), "offset": ("1",), "nan": ("1.",), "posinf": ("2.",), "neginf": ("3.",),
    "indexing": ("'ij'",), "arrays": ("[a, b]", "(a, b, a)"), "tup": ("[a, b]",), "operands": ("a, b",),
    "args": ("(2, 1), (1, 3)",),
    "xi": ("a, b",), "subscripts": ("'i,i->i'", "'ij,jk'", "'ij,ij'"),
    "object": ("a", "[1., 2.]", "[a, b]", "[[1, 2], [3, 4]]"),
}  # fmt: skip
"""What other parameters are given."""
DIFFERENT = {
    ("sign", "special"): "the sign of nan is 0 in PyTorch",
    ("heaviside", "special"): "the step at nan is a number in PyTorch",
    ("angle", "special"): "the angle of -0 is 0 in PyTorch",
    **{
        ("reciprocal", group): "whole numbers have whole reciprocals in NumPy alone"
        for group in ("integers", "bools")
    },
    **{
        ("searchsorted", group): "there is no place where the numbers are not in order"
        for group in GROUPS
        if group != "sorted"
    },
}
"""What is not compared, and why."""
SIGNS = frozenset({"eig", "eigh", "svd", "qr"})
"""Functions whose vectors have either sign: two libraries of linear algebra choose differently."""

pytestmark = [pytest.mark.usefixtures("double"), pytest.mark.filterwarnings("ignore")]


def ours(text: str, arrays: dict[str, Any]) -> Any:
    """The value of an expression, whatever it is."""
    given = {name: torch.tensor(value) for name, value in arrays.items()}
    return machine._run(parse(Source(text), tuple(given)), given, None, None)[0]


def theirs(text: str, arrays: dict[str, Any]) -> Any:
    """The same by NumPy and Python."""
    with np.errstate(all="ignore"):
        return eval(text, {"np": np, "math": math, "inf": math.inf, **arrays})


def numbers(value: Any) -> list[Any]:
    """A result as nested lists of numbers; several results in a list, whatever holds them."""
    if isinstance(value, Tensor):
        return numbers(value.detach().resolve_conj().resolve_neg().numpy())
    if isinstance(value, tuple | list):
        return [numbers(item) for item in value]
    if isinstance(value, np.ndarray | np.generic | int | float | complex | bool):
        found = np.asarray(value)
        return [found.shape, found.astype(complex if np.iscomplexobj(found) else float)]
    raise AssertionError(f"{type(value)} is not a number")


def sizes(value: Any) -> Any:
    """The same result with the sizes of its numbers alone."""
    return (
        [sizes(item) for item in value]
        if isinstance(value, list)
        else abs(value)
        if isinstance(value, np.ndarray)
        else value
    )


def same(mine: Any, other: Any) -> bool:
    if isinstance(mine, list):
        return isinstance(other, list) and len(mine) == len(other) and all(map(same, mine, other))
    if isinstance(mine, tuple):
        return bool(mine == other) or {mine, other} == {
            (),
            (1,),
        }  # NumPy gives single numbers a dimension here and there
    return bool(np.allclose(mine, other, rtol=1e-9, atol=1e-11, equal_nan=True))


def calls(path: str, row: spellings.Row) -> Iterator[tuple[str, str, set[str]]]:
    """Calls of one row: the group of arrays, the text, and the optional parameters in it."""
    listed = row.arguments
    placed = [p.arg for p in (*listed.posonlyargs, *listed.args)]
    count = len(placed) - len(listed.defaults)
    needed = [("", name) for name in placed[:count]]
    needed += [
        (f"{p.arg}=", p.arg)
        for p, d in zip(listed.kwonlyargs, listed.kw_defaults, strict=True)
        if d is None
    ]
    if listed.vararg:
        needed.append(("", listed.vararg.arg))
    optional = [
        *placed[count:],
        *(
            p.arg
            for p, d in zip(listed.kwonlyargs, listed.kw_defaults, strict=True)
            if d is not None
        ),
    ]
    groups: Any = NUMBERS if path.startswith("math") else GROUPS
    for group in groups:
        written = [
            [f"{prefix}{text}" for text in arguments(path, name, group)] for prefix, name in needed
        ]
        for chosen in product(written):
            yield group, f"{path}({', '.join(chosen)})", set()
            for name in optional:
                for text in arguments(path, name, group):
                    yield group, f"{path}({', '.join([*chosen, f'{name}={text}'])})", {name}


def product(lists: list[list[str]]) -> Iterator[list[str]]:
    """One from each list, the first ones mostly: every item occurs."""
    for at in range(max(map(len, lists), default=1)):
        yield [items[min(at, len(items) - 1)] for items in lists]
    if len(lists) > 1:
        for at in range(max(map(len, lists))):
            yield [lists[0][0], *(items[min(at, len(items) - 1)] for items in lists[1:])]


def arguments(path: str, name: str, group: str) -> tuple[str, ...]:
    """What a parameter may be given."""
    last = path.rpartition(".")[2]
    if name == "condition":
        return ("a > 0",)
    if last == "take_along_axis" and name == "indices":
        return ("np.argsort(a, axis=-1)",)
    if path.startswith("math") and group in NUMBERS:
        if name in ("p", "q"):
            return (f"[{NUMBERS[group][name == 'q']}, 1.5]",)
        if name in ("iterable", "seq"):
            return (f"[{', '.join(NUMBERS[group])}]",)
        return (NUMBERS[group][name in ("y", "base", "k")],) if name != "i" else VALUES[name]
    if name == "x" and last in ("trapezoid", "trapz", "where"):
        return ("a",) if last == "where" else ("b",)
    if name in VALUES and not (name in ("x", "k", "p") and name == "x"):
        return VALUES[name]
    return ("b",) if name in SECOND else ("a",)


PATHS = [f"{section}.{name}" for section in operators.SPELT for name in spellings.names(section)]


@pytest.mark.skipif(np.__version__ < "2", reason="the names are those of NumPy 2")
@pytest.mark.parametrize("section", operators.SPELT)
@pytest.mark.parametrize("step", [6, rare(1)])
def test_every_name_gives_the_numbers_of_numpy_and_python(section: str, step: int) -> None:
    wrong: list[str] = []
    for name in [*spellings.names(section)][::step]:
        path = f"{section}.{name}"
        try:
            theirs(path, {})
        except AttributeError:
            continue  # another version of NumPy or Python has it
        for row in spellings.rows(section, name):
            agreed: set[str] = set()
            tried: set[str] = {""}
            for group, text, chosen in calls(path, row):
                if (name, group) in DIFFERENT:
                    continue
                tried |= chosen
                arrays = dict(zip("ab", GROUPS[group], strict=True)) if group in GROUPS else {}
                try:
                    expected = theirs(text, arrays)
                    if getattr(expected, "dtype", None) == np.float16:
                        continue  # what NumPy makes of bools
                    expected = numbers(expected)
                except Exception:
                    continue
                try:
                    found = ours(text, arrays)
                except GradcliError:
                    continue
                if not same(numbers(found), expected) and not (
                    name in SIGNS and same(sizes(numbers(found)), sizes(expected))
                ):
                    wrong.append(f"{text} of {group}: {numbers(found)}, and not {expected}")
                agreed |= chosen or {""}
            missing = tried - agreed if agreed else {"its operands"}
            wrong += [f"{path}({row.signature}): never compared with {it}" for it in missing - {""}]
    assert not wrong, "\n".join(wrong)


@pytest.mark.skipif(np.__version__ < "2", reason="the names are those of NumPy 2")
@pytest.mark.parametrize("section", [each for each in operators.SPELT if each != "math"])
def test_parameters_are_those_of_numpy_in_their_order(section: str) -> None:
    """Those of Python's math have no names."""
    compared = 0
    for name in spellings.names(section):
        try:
            known = list(inspect.signature(theirs(f"{section}.{name}", {})).parameters.values())
        except (AttributeError, ValueError):
            continue  # another version has it, or it does not tell its parameters
        if name == "arange" or any(p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in known):
            continue  # NumPy's names there depend on how many are given
        for row in spellings.rows(section, name):
            placed = [p.arg for p in (*row.arguments.posonlyargs, *row.arguments.args)]
            assert placed == [p.name for p in known][: len(placed)], (
                f"{section}.{name}({row.signature})"
            )
            assert {p.arg for p in row.arguments.kwonlyargs} <= {p.name for p in known}, (
                f"{section}.{name}({row.signature})"
            )
            compared += 1
    assert compared


def test_what_is_left_out_is_an_argument_of_its_own() -> None:
    """A parameter that was not given vanishes with the argument that it is."""
    for section in (*operators.SPELT, "Tensor"):
        for name in spellings.names(section):
            for row in spellings.rows(section, name):
                calls = [node for node in ast.walk(row.meaning) if isinstance(node, ast.Call)]
                whole = [
                    item
                    for call in calls
                    for item in (*call.args, *(k.value for k in call.keywords))
                ]
                used = {
                    node.id
                    for node in ast.walk(row.meaning)
                    if isinstance(node, ast.Name) and node not in whole
                }
                listed = row.arguments
                pairs: list[tuple[ast.arg, ast.expr | None]] = []
                pairs += zip(listed.args[::-1], listed.defaults[::-1], strict=False)
                pairs += zip(listed.kwonlyargs, listed.kw_defaults, strict=True)
                optional = {
                    p.arg for p, d in pairs if isinstance(d, ast.Constant) and d.value is ...
                }
                assert not used & optional, f"{section}.{name}({row.signature})"


METHODS = ("a.copy()", "a.astype(float)", "a.astype('float64')", "a.dot(b)", "a.transpose()", "a.T", "a.cumsum()",
           "a.round(1)", "a.std(ddof=1)", "a.var(axis=0, ddof=0)", "a.sum(axis=0, keepdims=True)", "a.mean(axis=-1)",
           "a.reshape(-1)", "a.ravel()", "a.max()", "a.argmax(axis=0)", "a.clip(0, 1)", "a.prod(axis=0)", "a.trace()",
           "a.squeeze()", "a.flatten()", "a @ b", "a.swapaxes(0, 1)", "a.shape", "a.ndim", "a[np.newaxis]",
           "a.cumprod()")  # fmt: skip


def test_methods_of_arrays_give_the_numbers_of_numpy() -> None:
    for text in METHODS:
        compared = 0
        for group in ("vectors", "matrices", "wide", "cubes", "mixed", "symmetric", "steep"):
            arrays = dict(zip("ab", GROUPS[group], strict=True))
            try:
                expected, found = numbers(theirs(text, arrays)), numbers(ours(text, arrays))
            except Exception:
                continue
            assert same(found, expected), f"{text} of {group}"
            compared += 1
        assert compared, text


@pytest.mark.smoke
def test_the_rest_of_python_is_python() -> None:
    for text in ("math.tau", "math.log(8, 2)", "math.floor(2.7)", "math.sqrt(2)", "math.comb(5, 2)", "math.factorial(5)",
                 "math.gcd(12, 18)", "math.isclose(1.0, 1.0 + 1e-12)", "math.dist([1, 2], [4, 6])", "math.prod([2, 3.5])",
                 "max(2, 3)", "min([4, 3, 5])", "abs(-2)", "round(2.5)", "round(2.567, 1)", "pow(2, 10)", "sum([1, 2, 3])",
                 "float(3)", "int(2.9)", "float('-inf')", "[*[1, 2], 3]", "(*(1, 2), *[3])", "max(*[1, 5], 2)"):  # fmt: skip
        assert ours(text, {}) == eval(text, {"math": math}), text
