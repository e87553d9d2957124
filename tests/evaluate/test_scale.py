"""Many numbers: JSON and CSV as one number at a time would be written, the softmax Jacobian as
autograd has it, notes.
"""

import csv
import io
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from gradcli import result_paths
from gradcli.commands.softmax_jacobian import compute as softmax_jacobian
from gradcli.commands.softmax_jacobian.request import SoftmaxJacobian
from gradcli.evaluate.job import Job
from gradcli.evidence.notes import notes
from gradcli.options.fill import from_words
from gradcli.show import bulk, numbers
from gradcli.show.table import Places
from tests.choice import rare
from tests.program import run

FLOATS = {
    torch.float32: torch.int32,
    torch.float64: torch.int64,
    torch.float16: torch.int16,
    torch.bfloat16: torch.int16,
}
"""Each floating dtype, and the whole numbers that have its bits."""
EDGES = (
    0.0,
    -0.0,
    math.inf,
    -math.inf,
    math.nan,
    0.1,
    1 / 3,
    1e-7,
    9.9e-6,
    1e-5,
    123456.7,
    1e15,
    1.5e16,
    1e22,
    3e38,
    1e-45,
)


@st.composite
def tensors(draw: st.DrawFn) -> Tensor:
    """Tensors of any dtype, whole or as a strided view, filled with any bits and with what is
    awkward to spell.
    """
    dtype = draw(st.sampled_from([*FLOATS, torch.int64, torch.uint8, torch.bool]))
    shape = draw(st.lists(st.integers(1, 5), min_size=1, max_size=3))
    size = math.prod(shape)
    if dtype in FLOATS:
        width = torch.iinfo(FLOATS[dtype]).bits
        bits = draw(
            st.lists(
                st.integers(-(2 ** (width - 1)), 2 ** (width - 1) - 1), min_size=size, max_size=size
            )
        )
        found = torch.tensor(bits, dtype=FLOATS[dtype]).view(dtype)
        for place, edge in draw(
            st.dictionaries(st.integers(0, size - 1), st.sampled_from(EDGES))
        ).items():
            found[place] = torch.tensor(edge, dtype=torch.float64)
    else:
        found = torch.tensor(
            draw(st.lists(st.integers(0, 1), min_size=size, max_size=size)), dtype=dtype
        )
    found = found.view(shape)
    return draw(st.sampled_from([found, found.movedim(0, -1), found.expand(3, *shape)]))


def nested(tensor: Tensor) -> Any:
    """A tensor as in JSON, one number after the other."""
    found = numbers.flat(tensor)
    found = [number if math.isfinite(number) else numbers.spell(number) for number in found]
    for size in reversed(tensor.shape[1:]):
        found = [found[i : i + size] for i in range(0, len(found), size)]
    return found


def one_by_one(tensor: Tensor) -> bytes:
    return orjson.dumps(nested(tensor))


@pytest.mark.parametrize("draws", [33, rare(100)])
def test_json_in_pieces_is_that_of_one_number_at_a_time(draws: int) -> None:
    @given(tensors(), st.integers(1, 12))
    @settings(max_examples=draws)
    def is_that(tensor: Tensor, piece: int) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(bulk, "PIECE", piece)
            assert b"".join(bulk.pieces(tensor)) == one_by_one(tensor)
            tree = {"a": "\0", "b": [tensor, 1.5, {"c": tensor.reshape(-1)}]}
            flat = nested(tensor.reshape(-1))
            expected = orjson.dumps({"a": "\0", "b": [nested(tensor), 1.5, {"c": flat}]})
            file = io.BytesIO()
            bulk.write(tree, file, b"\n")
            assert bulk.encode(tree) + b"\n" == file.getvalue() == expected + b"\n"

    is_that()


def test_unusual_numbers_among_many_usual_ones_are_spelled_alike() -> None:
    found = torch.randn(3000, 2)
    odd = [math.nan, math.inf, -math.inf, -0.0, 1e-4, 9.9e-5, 1.2e-6, -3e-30, 1e9, 1e13, 2e20]
    found[::200, 0] = torch.tensor([*odd, *odd[:4]])
    assert b"".join(bulk.pieces(found)) == one_by_one(found)
    lines = bulk.lines(found.unbind(1))(range(len(found)))
    cells = zip(*map(numbers.flat, found.unbind(1)), strict=True)
    assert [line.decode() for line in lines] == [",".join(map(numbers.exact, row)) for row in cells]


@given(tensors(), st.integers(1, 17))
def test_digits_of_a_column_are_those_of_each_number(tensor: Tensor, digits: int) -> None:
    column = tensor.reshape(-1)
    if tensor.is_floating_point():  # whole numbers are shown without a point
        column = torch.cat([column, column.round()])
    expected = [numbers.significant(number, digits) for number in numbers.flat(column)]
    assert numbers.texts(column, digits) == expected


def test_a_table_of_many_rows_has_every_number_at_its_place() -> None:
    n = 20_001  # more rows than are drawn together
    ran = run("grad", "sum(x**2)", f"x=linspace(-1,1,{n})", "--full")
    rows = [line for line in ran.stdout.splitlines() if line.startswith("\u2502 x[")]
    x = torch.linspace(-1, 1, n)
    for i, (row, number) in enumerate(zip(rows, numbers.flat(x), strict=True)):
        name, value, gradient = row.strip("\u2502").split("\u2502")
        assert name.strip() == f"x[{i}]"
        assert value.strip() == numbers.significant(number, 6)
        assert float(gradient) == pytest.approx(2 * number, rel=1e-5)
    assert len({len(row) for row in rows}) == 1
    assert len({row.index(".") for row in rows if "." in row.split("\u2502")[2]}) == 1


@given(tensors())
def test_lines_of_csv_are_those_of_one_number_at_a_time(tensor: Tensor) -> None:
    columns = tensor.reshape(len(tensor), -1).unbind(1)
    expected = [
        ",".join(map(numbers.exact, cells))
        for cells in zip(*map(numbers.flat, columns), strict=True)
    ]
    assert [line.decode() for line in bulk.lines(columns)(range(len(tensor)))] == expected


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_the_digits_are_the_shortest_that_numpy_knows(dtype: Any) -> None:
    bits = np.random.default_rng(0).integers(0, 2**16, 20_000).astype(np.uint16)
    array = (
        bits.view(np.float16).astype(dtype)
        if dtype == np.float16
        else np.repeat(bits, 2).view(np.float32)
    )
    array = array[np.isfinite(array)]
    read = orjson.loads(b"".join(bulk.pieces(torch.from_numpy(array))))
    assert read == [float(str(number)) for number in array]


@pytest.mark.parametrize("name", ["float32", "float64", "float16", "bfloat16"])
def test_each_of_many_numbers_reads_back_the_same_from_every_form(
    name: str, tmp_path: Path
) -> None:
    dtype = getattr(torch, name)
    x = torch.logspace(-40, 30, 9003, dtype=torch.float64).reshape(3, 3001) * torch.tensor(
        [[1], [-1], [1e-3]]
    )
    x[1, ::7], x[2, ::11], x[0, 5] = math.nan, math.inf, -math.inf
    np.save(tmp_path / "x.npy", x.numpy())
    words = ["activate", "hardtanh", "--x", "@x.npy", "--dtype", name, "--quiet"]
    leaf = x.to(dtype).requires_grad_()
    expected = torch.nn.functional.hardtanh(leaf)
    slope = torch.autograd.grad(expected.sum(), leaf)[0]
    shown = run(*words, "--json", cwd=str(tmp_path)).json
    found = shown["functions"][0]
    for values, computed in [
        (shown["inputs"]["x"], leaf),
        (found["value"], expected),
        (found["derivative"], slope),
    ]:
        read = torch.tensor(
            [[float(number) for number in row] for row in values], dtype=torch.float64
        ).to(dtype)
        assert torch.equal(read.nan_to_num(7.0), computed.detach().nan_to_num(7.0))
        assert torch.equal(read.isnan(), computed.isnan())
    lines = list(csv.reader(run(*words, "--csv", cwd=str(tmp_path)).stdout.splitlines()))
    assert lines[0] == ["index", "x", "hardtanh", "d_hardtanh"]
    assert [line[0] for line in lines[1:]] == [f"{i},{j}" for i in range(3) for j in range(3001)]
    for column, values in enumerate([shown["inputs"]["x"], found["value"], found["derivative"]], 1):
        spelled = [
            value if isinstance(value, str) else numbers.exact(value)
            for row in values
            for value in row
        ]
        assert [line[column] for line in lines[1:]] == spelled


@pytest.mark.parametrize("suffix", ["json", "csv"])
def test_the_file_holds_what_the_form_prints(suffix: str, tmp_path: Path) -> None:
    words = ["grad", "(w*x).sum()", "x=randn(3,3000)", "w=2"]
    assert run(*words, "--out", f"r.{suffix}", cwd=str(tmp_path)).status == 0
    assert (tmp_path / f"r.{suffix}").read_text(encoding="utf-8") == run(
        *words, f"--{suffix}"
    ).stdout


@given(st.lists(st.integers(0, 4), max_size=3), st.data())
def test_places_are_the_indices_in_row_major_order(shape: list[int], data: st.DataObject) -> None:
    indices = [",".join(map(str, index)) for index in np.ndindex(*shape)]
    start, stop = (data.draw(st.integers(0, len(indices) + 1)) for _ in range(2))
    assert list(Places(shape)[start:stop]) == indices[start:stop]
    named = [f"w[{index}]" if shape else "w" for index in indices]
    assert list(Places(shape, "w")) == named
    assert list(Places(shape, "w")[start:stop:2]) == named[start:stop:2]


# the Jacobian of softmax


LARGE = softmax_jacobian.ROWS + 1


@pytest.mark.parametrize("name", ["float32", "float64", "float16", "bfloat16"])
@pytest.mark.parametrize("scale", [1, rare(300)])
def test_the_jacobian_of_many_logits_is_autograds_bit_for_bit(
    name: str, scale: float, tmp_path: Path
) -> None:
    dtype = getattr(torch, name)
    x = torch.randn(LARGE, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) * scale
    np.save(tmp_path / "x.npy", x.numpy())
    words = ["softmax-jacobian", "--x", "@x.npy", "--dtype", name]
    done = run(*words, "--out", "r.npz", "--row", "7", cwd=str(tmp_path))
    assert "[closed-form]" in done.stderr
    assert f"{LARGE} rows" in done.stderr
    leaf = x.to(dtype).requires_grad_()
    p = torch.softmax(leaf, 0)
    expected = torch.stack(
        [torch.autograd.grad(p[i], leaf, retain_graph=True)[0] for i in range(LARGE)]
    )
    with np.load(tmp_path / "r.npz") as found:
        jacobian, row = torch.from_numpy(found["jacobian"]), torch.from_numpy(found["row"])
    wide = torch.float32 if dtype == torch.bfloat16 else dtype
    assert jacobian.dtype == wide
    assert torch.equal(jacobian, expected.to(wide))
    assert torch.equal(row, jacobian[7])
    assert torch.equal(torch.signbit(jacobian), torch.signbit(expected))


def test_few_logits_are_autograds_alone() -> None:
    words = [
        "softmax-jacobian",
        f"linspace(0,1,{softmax_jacobian.ROWS})",
        "--get",
        "row.0",
        "--row",
        "0",
    ]
    assert run(*words).stderr == ""


def test_a_closed_form_that_autograd_denies_is_not_used() -> None:
    job = Job(from_words(SoftmaxJacobian, ["1,2"], {}), lambda: "")
    x = torch.linspace(-1, 1, LARGE, requires_grad=True)
    assert softmax_jacobian._by_closed_form(torch.softmax(2 * x, 0), x, None, job) is None
    assert job.notes == []
    assert softmax_jacobian._by_closed_form(torch.softmax(x, 0), x, None, job) is not None
    assert [note.code for note in job.notes] == ["closed-form"]


def test_logits_that_are_not_finite_give_nan_whichever_way() -> None:
    result = run("softmax-jacobian", f"full([{LARGE}], inf)", "--json").json
    assert {number for row in result["jacobian"] for number in row} == {"NaN"}
    assert {"closed-form", "not-a-number"} <= {note["code"] for note in result["notes"]}


def test_a_jacobian_that_no_tensor_can_hold_is_refused() -> None:
    done = run("softmax-jacobian", "zeros(16385)")
    assert (done.status, done.stdout) == (2, "")
    assert "268,468,225 elements" in done.stderr


# saturation


@pytest.mark.parametrize("piece", [7, 1000, 10**6])
def test_saturation_is_counted_over_all_pieces(piece: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notes, "PIECE", piece)
    done = run(
        "activate",
        "tanh",
        "--x",
        "linspace(-10,12,2201)",
        "--dtype",
        "float64",
        "--get",
        "functions.0.name",
        here=True,
    )
    beyond = [i for i in range(2201) if 1 / math.cosh(-10 + i / 100) ** 2 < 1e-6]
    assert re.search(rf"; {len(beyond)} of 2201 elements are saturated \[saturated\]$", done.stderr)
    assert "tanh is saturated at x[2200] = 12: its slope is 1.5e-10" in done.stderr


def test_a_place_becomes_an_index_in_row_major_order() -> None:
    assert [result_paths.index(i, (2, 3, 4)) for i in range(24)] == list(np.ndindex(2, 3, 4))
    assert result_paths.index(0, ()) == ()
