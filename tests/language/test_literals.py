"""Tensor literals: every form reads as PyTorch, NumPy and Python mean it, and what they print reads
back.
"""

import json
import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from torch import Tensor

from gradcli.errors import LiteralError
from gradcli.evaluate.tensors import TensorMaker
from gradcli.language.file_names import FromFile
from gradcli.language.literals.constructors import CONSTRUCTORS, Made
from gradcli.language.literals.literal import FromStdin, Numbers, from_json, parse, parse_stream
from gradcli.language.source import Source
from tests.choice import rare

NAN, INF = math.nan, math.inf


def make(text: str, dtype: torch.dtype = torch.float32, stdin: str = "") -> Tensor:
    return TensorMaker(dtype, "cpu", lambda: stdin)(parse(Source(text, "--x")))


def equal(a: Tensor, b: Tensor) -> bool:
    return (
        a.dtype == b.dtype
        and a.shape == b.shape
        and bool(torch.equal(a.nan_to_num(7.0), b.nan_to_num(7.0)))
    )


FLOATING: list[tuple[str, Any]] = [
    ("2", 2.0),
    ("-1.5e-3", -1.5e-3),
    (".5", 0.5),
    ("+5.", 5.0),
    ("007", 7.0),
    ("1e-400", 0.0),
    ("inf", INF),
    ("-Infinity", -INF),
    ("NaN", NAN),
    ("pi", math.pi),
    ("e", math.e),
    ("1/3", 1 / 3),
    ("-pi/2", -math.pi / 2),
    ("2*pi", 2 * math.pi),
    ("3*pi/4", 3 * math.pi / 4),
    ("2*-3", -6.0),
    ("-(1/4)", -0.25),
    ("(1/4)*2", 0.5),
    ("inf*2", INF),
    ("torch.pi, np.e, math.inf, numpy.nan", [math.pi, math.e, INF, NAN]),
    ("1,2,3", [1, 2, 3]),
    (" 1 , 2 ", [1, 2]),
    ("1,\u00a02", [1, 2]),
    ("1,", [1]),
    ("1,2,", [1, 2]),
    ("1,2;3,4", [[1, 2], [3, 4]]),
    ("1,2;3,4;", [[1, 2], [3, 4]]),
    ("1;2", [[1], [2]]),
    ("1;", [[1]]),
    ("1,2\n3,4", [[1, 2], [3, 4]]),
    ("1,2;\n3,4\n", [[1, 2], [3, 4]]),
    ("1,pi\n\n3,4\n", [[1, math.pi], [3, 4]]),
    ("1\n2", [[1], [2]]),
    ("[1, 2, 3]", [1, 2, 3]),
    ("[1,2,]", [1, 2]),
    ("[[1,2],[3,4]]", [[1, 2], [3, 4]]),
    ("[1,2],[3,4]", [[1, 2], [3, 4]]),
    ("[1,2];[3,4]", [[1, 2], [3, 4]]),
    ("[1,2],", [[1, 2]]),
    ("(1, 2)", [1, 2]),
    ("((1, 2), [3, 4])", [[1, 2], [3, 4]]),
    ("(1)", 1.0),
    ("(1,)", [1]),
    ("()", []),
    ("[]", []),
    ("[[], []]", [[], []]),
    ("[1. 2. 3.]", [1, 2, 3]),
    ("[ 1 -2]", [1, -2]),
    ("[1 +2]", [1, 2]),
    ("[[1. -2.]\n [nan inf]]", [[1, -2], [NAN, INF]]),
    ("[pi 2*pi]", [math.pi, 2 * math.pi]),
    ('["NaN", 1, "Infinity", "-Infinity"]', [NAN, 1, INF, -INF]),
    ("['nan', pi]", [NAN, math.pi]),
    ("[[1, NaN], [Infinity, -Infinity]]", [[1, NAN], [INF, -INF]]),
    ("[np.float64(1.5), np.float32(-2.5), np.int64(3)]", [1.5, -2.5, 3]),
    ("[float('inf'), float(2)]", [INF, 2]),
    ("tensor(2.)", 2.0),
    ("tensor([[1., 2.]], grad_fn=<MulBackward0>)", [[1, 2]]),
    ("tensor([1, 2.5])", [1, 2.5]),
    ("torch.tensor([1., 2.], requires_grad=True)", [1, 2]),
    ("tensor([1.], device='cuda:0', dtype=torch.float64, grad_fn=<A object at 0x7f>)", [1]),
    ("tensor([1., 2.], device=device(type='cuda', index=0))", [1, 2]),
    ("tensor([1, 2], dtype=torch.float64)", [1, 2]),
    ("tensor([True, False], dtype=torch.float32)", [1, 0]),
    ("Parameter containing:\ntensor([1.,\n        2.], requires_grad=True)", [1, 2]),
    ("(tensor([2.]), tensor([4.]))", [[2], [4]]),
    ("[tensor(1.), tensor(2)]", [1, 2]),
    ("Tensor([1, 2])", [1, 2]),
    ("array([1, 2])", [1, 2]),
    ("np.array([[1, 2], [3, 4]], dtype=float32)", [[1, 2], [3, 4]]),
    ("array([1, 2], dtype=int32)", [1, 2]),
]


@pytest.mark.parametrize(("text", "expected"), FLOATING)
@pytest.mark.parametrize("dtype", [torch.float32, rare(torch.float64), rare(torch.bfloat16)])
def test_floating_forms(text: str, expected: Any, dtype: torch.dtype) -> None:
    assert equal(make(text, dtype), torch.tensor(expected, dtype=dtype))


@pytest.mark.parametrize("text", ["-0", "-0.0", "[-0]", "-0,", "-0/1"])
def test_negative_zero_keeps_its_sign(text: str) -> None:
    assert torch.signbit(make(text)).all()


KEPT = [
    ("tensor([1, 2])", torch.tensor([1, 2])),
    ("tensor(5)", torch.tensor(5)),
    ("tensor([9223372036854775807, -9223372036854775808])", torch.tensor([2**63 - 1, -(2**63)])),
    ("tensor([9007199254740993, 2*3])", torch.tensor([9007199254740993, 6])),
    ("tensor([[0, 255]], dtype=torch.uint8)", torch.tensor([[0, 255]], dtype=torch.uint8)),
    ("tensor([-128], dtype=torch.int8)", torch.tensor([-128], dtype=torch.int8)),
    ("tensor([2.], dtype=torch.int32)", torch.tensor([2], dtype=torch.int32)),
    ("tensor([], dtype=torch.int64)", torch.tensor([], dtype=torch.int64)),
    ("tensor([1, 0], dtype=torch.bool)", torch.tensor([True, False])),
    ("tensor([True, False])", torch.tensor([True, False])),
    ("True,False", torch.tensor([True, False])),
    ("[[true],[false]]", torch.tensor([[True], [False]])),
    ("array([ True, False])", torch.tensor([True, False])),
    ("True", torch.tensor(True)),
]


@pytest.mark.parametrize(("text", "expected"), KEPT)
def test_integers_and_bools_stay(text: str, expected: Tensor) -> None:
    assert equal(make(text), expected)


MADE: list[tuple[str, Any]] = [
    ("zeros(2,3)", lambda kw: torch.zeros(2, 3, **kw)),
    ("zeros(())", lambda kw: torch.zeros((), **kw)),
    ("zeros(0,3)", lambda kw: torch.zeros(0, 3, **kw)),
    ("-ones((2, 2))", lambda kw: -torch.ones(2, 2, **kw)),
    ("+torch.ones([2])", lambda kw: torch.ones(2, **kw)),
    ("full((2,2),7)", lambda kw: torch.full((2, 2), 7, **kw)),
    ("full([1],2)", lambda kw: torch.tensor([2.0], **kw)),
    ("full(size=(2,), fill_value=-1/3)", lambda kw: torch.full((2,), -1 / 3, **kw)),
    ("eye(3)", lambda kw: torch.eye(3, **kw)),
    ("eye(2, m=3)", lambda kw: torch.eye(2, 3, **kw)),
    ("arange(5)", lambda kw: torch.arange(5, **kw)),
    ("arange(1,2,0.1)", lambda kw: torch.arange(1, 2, 0.1, **kw)),
    ("arange(5,0,-2)", lambda kw: torch.arange(5, 0, -2, **kw)),
    ("np.arange(end=3, start=1)", lambda kw: torch.arange(1, 3, **kw)),
    ("arange(3,3)", lambda kw: torch.arange(3, 3, **kw)),
    ("linspace(-pi, pi, 2*50)", lambda kw: torch.linspace(-math.pi, math.pi, 100, **kw)),
    ("linspace(0, 1, steps=0)", lambda kw: torch.linspace(0, 1, 0, **kw)),
    ("logspace(0,3,4)", lambda kw: torch.logspace(0, 3, 4, **kw)),
    ("logspace(0,3,4,base=2)", lambda kw: torch.logspace(0, 3, 4, base=2, **kw)),
    ("rand(2,3)", lambda kw: torch.rand(2, 3, **kw)),
    ("-randn(2,3)", lambda kw: -torch.randn(2, 3, **kw)),
]


@pytest.mark.parametrize(("text", "program"), MADE)
@pytest.mark.parametrize(
    "dtype", [torch.float64, torch.bfloat16, *map(rare, (torch.float32, torch.float16))]
)
def test_constructors(text: str, program: Any, dtype: torch.dtype) -> None:
    torch.manual_seed(3)
    made = make(text, dtype)
    torch.manual_seed(3)
    assert equal(made, program({"dtype": dtype}))
    found = parse(Source(text))
    assert isinstance(found, Made)
    assert found.shape == tuple(made.shape)


def test_constructors_draw_in_order_from_one_generator() -> None:
    torch.manual_seed(0)
    first, second = make("randn(3)"), make("rand(2)")
    torch.manual_seed(0)
    assert equal(first, torch.randn(3))
    assert equal(second, torch.rand(2))


def test_every_constructor_is_tested() -> None:
    assert {name for name in CONSTRUCTORS if any(name + "(" in text for text, _ in MADE)} == set(
        CONSTRUCTORS
    )


@pytest.mark.parametrize("text", ["-", "@-", " - "])
def test_standard_input(text: str) -> None:
    assert isinstance(parse(Source(text)), FromStdin)
    assert equal(make(text, stdin="1 2\n3 4\n"), torch.tensor([[1.0, 2.0], [3.0, 4.0]]))


STREAMS: list[tuple[str, Any]] = [
    ("1 2 3\n", [1, 2, 3]),
    ("1\n2\n3\n", [1, 2, 3]),
    ("1\r\n2\r\n", [1, 2]),
    ("\n1\n\n2\n\n", [1, 2]),
    ("\ufeff1\n2\n", [1, 2]),
    ("1 2\n3 4\n", [[1, 2], [3, 4]]),
    ("1\t2\n3\t4\n", [[1, 2], [3, 4]]),
    ("1,2\n3,4\n", [[1, 2], [3, 4]]),
    ("1,2,3", [1, 2, 3]),
    ("1;2", [[1], [2]]),
    ("5\n", 5.0),
    ("5,\n", [5]),
    ("nan -inf\n1/2 pi\n", [[NAN, -INF], [0.5, math.pi]]),
    ("1 -2\n", [1, -2]),
    ("pi\ne\n", [math.pi, math.e]),
    ("[1 2]\n[3 4]\n", [[1, 2], [3, 4]]),
    ("[[1,2],\n [3,4]]\n", [[1, 2], [3, 4]]),
    ("tensor([1., 2.])\n", [1, 2]),
    ("linspace(0,1,3)\n", [0, 0.5, 1]),
]


@pytest.mark.parametrize(("text", "expected"), STREAMS)
def test_streams(text: str, expected: Any) -> None:
    assert equal(make("-", stdin=text), torch.tensor(expected, dtype=torch.float32))


@pytest.mark.parametrize(
    ("text", "path", "suffix", "key"),
    [
        ("@a.npy", "a.npy", ".npy", ""),
        ("@A.NPY", "A.NPY", ".npy", ""),
        ("@d/a.b.npz:w", "d/a.b.npz", ".npz", "w"),
        ("@a.npz:layer.0:w", "a.npz", ".npz", "layer.0:w"),
        ("@C:\\x y.pt", "C:\\x y.pt", ".pt", ""),
        ("@m.safetensors:w", "m.safetensors", ".safetensors", "w"),
    ],
)
def test_file_names(text: str, path: str, suffix: str, key: str) -> None:
    source = Source(text)
    assert parse(source) == FromFile(path, suffix, key, source)


# What others print

print_options: Any = torch.set_printoptions


@pytest.fixture(autouse=True)
def _print_options() -> Any:
    with np.printoptions(floatmode="unique", precision=None, threshold=10**9):
        print_options(precision=17, threshold=10**9)
        yield
        print_options(profile="default")


DTYPES = [
    torch.float32,
    torch.float64,
    torch.float16,
    torch.bfloat16,
    torch.int64,
    torch.int32,
    torch.uint8,
    torch.bool,
]
SHAPES = [(), (1,), (40,), (3,), (2, 3), (3, 1), (2, 2, 2), (0,), (2, 0, 3), (0, 3)]


@pytest.mark.parametrize("shape", [*SHAPES[::2], *map(rare, SHAPES[1::2])])
@pytest.mark.parametrize("dtype", DTYPES)
def test_torch_prints_read_back(dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    torch.manual_seed(len(shape))
    numbers = (
        torch.randn(shape, dtype=torch.float64) * 10 ** torch.empty(shape).uniform_(-5, 5)
    ).abs() % 200
    tensor = numbers.to(dtype)
    job = dtype if dtype.is_floating_point else torch.float32
    assert equal(make(str(tensor), job), tensor)
    if tensor.is_floating_point():
        leaf = tensor.clone().requires_grad_()
        for printed in (
            leaf,
            leaf * 1,
            torch.nn.Parameter(leaf),
            -leaf.detach(),
            leaf.detach() / 0,
            leaf.round(),
        ):
            assert equal(make(str(printed), job), printed.detach())


@pytest.mark.parametrize("sci_mode", [True, False])
def test_torch_prints_of_whole_floats_stay_floating(sci_mode: bool) -> None:
    print_options(precision=4, sci_mode=sci_mode)
    for values in ([1.0, 2.0], [1e10, -3.0], [NAN, INF, -0.5]):
        tensor = torch.tensor(values)
        assert equal(make(str(tensor)), tensor)


floats = st.floats(width=64)


@given(
    arrays.arrays(
        np.float64,
        arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
        elements=floats,
    )
)
@settings(deadline=None)
def test_numpy_prints_read_back(array: Any) -> None:
    expected = torch.from_numpy(array.copy())
    assert equal(make(repr(array), torch.float64), expected)
    if array.size:
        assert equal(make(str(array), torch.float64), expected)


@given(arrays.arrays(np.float32, (2, 30), elements=st.floats(width=32)))
@settings(deadline=None)
def test_numpy_prints_of_several_lines_read_back(array: Any) -> None:
    for text in (repr(array), str(array)):
        assert equal(make(text), torch.from_numpy(array.copy()))


def named(value: Any) -> Any:
    """Nested lists with the not-finite numbers by the names that our JSON gives them."""
    if isinstance(value, list):
        return [named(item) for item in value]
    return (
        value
        if math.isfinite(value)
        else "NaN"
        if math.isnan(value)
        else "Infinity"
        if value > 0
        else "-Infinity"
    )


@given(arrays.arrays(np.float64, arrays.array_shapes(max_dims=3, max_side=4), elements=floats))
@settings(deadline=None)
def test_python_and_json_prints_read_back(array: Any) -> None:
    expected = torch.from_numpy(array.copy())
    nested = array.tolist()
    strings = json.dumps(named(nested), allow_nan=False)
    for text in (
        repr(nested),
        repr(nested).replace("[", "(").replace("]", ",)"),
        json.dumps(nested),
        strings,
    ):
        assert equal(make(text, torch.float64), expected), text
    assert equal(make("-", torch.float64, stdin=strings), expected)
    assert list(from_json(json.loads(strings), Source(strings)).values) == pytest.approx(
        array.ravel().tolist(), nan_ok=True, rel=0
    )


@pytest.mark.parametrize(
    ("value", "numbers", "shape", "dtype"),
    [
        (1.5, [1.5], (), "float"),
        (3, [3.0], (), "float"),
        (True, [True], (), "bool"),
        ([1, 2.5], [1.0, 2.5], (2,), "float"),
        ([[1, 2], [3, 4], [5, 6]], [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], (3, 2), "float"),
        ([[[1.0]], [[2.0]]], [1.0, 2.0], (2, 1, 1), "float"),
        ([[True], [False]], [True, False], (2, 1), "bool"),
        ([], [], (0,), "float"),
        ([[], []], [], (2, 0), "float"),
        (["Infinity", "-Infinity", "-inf", 2], [INF, -INF, -INF, 2.0], (4,), "float"),
    ],
)
def test_json_values(value: object, numbers: list[Any], shape: tuple[int, ...], dtype: str) -> None:
    found = from_json(value, Source(repr(value)))
    assert (list(found.values), found.shape, found.dtype) == (numbers, shape, dtype)
    assert [type(number) for number in found.values] == [type(number) for number in numbers]


def test_many_numbers() -> None:
    values = list(range(100_000))
    column = parse_stream(Source("\n".join(map(str, values))))
    assert isinstance(column, Numbers)
    assert list(column.values) == values
    assert equal(make(f"[{' '.join(map(str, values))}]"), torch.arange(100_000.0))


@pytest.mark.parametrize(
    "text", ["1" * 10**6 + "x", f"[{'1' * 10**6}q]", f"1.{'2' * 10**6}e{'3' * 10**5}q"], ids=len
)
def test_the_time_for_a_long_number_grows_with_its_length_alone(text: str) -> None:
    """With the square of it, each of these would take hours."""
    with pytest.raises(LiteralError):
        parse(Source(text))
