"""Files as inputs: every suffix gives the numbers that were saved, and what is broken or hostile is
refused by cause.
"""

import json
import os
import pickle
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from gradcli.errors import FileError, GradcliError, SizeError
from gradcli.evaluate.files import READERS
from gradcli.evaluate.tensors import TensorMaker
from gradcli.language.file_names import SUFFIXES, FromFile, check_file
from gradcli.language.limits import ELEMENTS
from gradcli.language.literals.literal import parse
from gradcli.language.source import Source
from tests.choice import rare
from tests.program import Ran, run

SAVED = torch.tensor([[1.0, -2.5, 3.25], [4.0, 5.0, float("inf")]])


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def make(text: str, dtype: torch.dtype = torch.float32) -> Tensor:
    return TensorMaker(dtype, "cpu", lambda: "")(parse(Source(text, "--x")))


def refusal(text: str) -> GradcliError:
    with pytest.raises(GradcliError) as caught:
        make(text)
    assert caught.value.span is not None
    assert caught.value.hint
    assert caught.value.message.isascii()
    return caught.value


def write(name: str, content: bytes | str) -> str:
    Path(name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return f"@{name}"


def save_safetensors(**tensors: Tensor) -> str:
    pytest.importorskip("safetensors", reason="an extra")
    from safetensors.torch import save_file

    save_file(tensors, "a.safetensors")
    return "@a.safetensors"


def rows(delimiter: str) -> str:
    return "".join(delimiter.join(map(repr, row)) + "\n" for row in SAVED.tolist())


WRITERS: dict[str, Callable[[], object]] = {
    "@a.npy": lambda: np.save("a.npy", SAVED.numpy()),
    "@f.npy": lambda: np.save("f.npy", np.asfortranarray(SAVED.numpy())),
    "@big-endian.npy": lambda: np.save("big-endian.npy", SAVED.numpy().astype(">f8")),
    "@half.npy": lambda: np.save("half.npy", SAVED.numpy().astype(np.float16)),
    "@long.npy": lambda: np.save("long.npy", SAVED.numpy().astype(np.longdouble)),
    "@a.npz": lambda: np.savez("a.npz", w=SAVED.numpy()),
    "@b.npz:w": lambda: np.savez_compressed("b.npz", b=np.zeros(2), w=SAVED.numpy()),
    "@a.csv": lambda: write("a.csv", rows(",")),
    "@named.csv": lambda: write("named.csv", "a,b,c\n" + rows(",")),
    "@quoted.csv": lambda: write("quoted.csv", '"a","b","c"\n"1","-2.5","3.25"\n"4","5","inf"\n'),
    "@bom.csv": lambda: write(
        "bom.csv", b"\xef\xbb\xbfa,b,c\r\n" + rows(",").replace("\n", "\r\n").encode()
    ),
    "@european.csv": lambda: write("european.csv", rows(";")),
    "@a.tsv": lambda: write("a.tsv", "a b\tc\td\n" + rows("\t")),
    "@blanks.txt": lambda: write("blanks.txt", "# saved\n\n a  b  c\n" + rows("  ")),
    "@commas.txt": lambda: write("commas.txt", rows(",")),
    "@savetxt.txt": lambda: np.savetxt("savetxt.txt", SAVED.numpy(), header="a b c"),
    "@pasted.txt": lambda: write("pasted.txt", f"{SAVED}\n"),
    "@array.txt": lambda: write("array.txt", str(SAVED.numpy())),
    "@a.json": lambda: write(
        "a.json", json.dumps(SAVED.tolist()).replace("Infinity", '"Infinity"')
    ),
    "@bare.json": lambda: write("bare.json", json.dumps(SAVED.tolist(), indent=2)),
    "@a.pt": lambda: torch.save(SAVED.clone().requires_grad_(), "a.pt"),
    "@old.pt": lambda: torch.save(SAVED, "old.pt", _use_new_zipfile_serialization=False),
    "@double.pt": lambda: torch.save(SAVED.double().T.contiguous().T, "double.pt"),
    "@dict.pt:layer.w": lambda: torch.save(
        {"layer.w": SAVED, "b": torch.ones(1), "epoch": 3}, "dict.pt"
    ),
    "@only.pt": lambda: torch.save({"w": SAVED, "epoch": 3}, "only.pt"),
    "@a.safetensors": lambda: save_safetensors(w=SAVED),
    "@a.safetensors:w": lambda: save_safetensors(w=SAVED, b=torch.ones(1)),
}


@pytest.mark.parametrize("literal", WRITERS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_saved_numbers_come_back(literal: str, dtype: torch.dtype) -> None:
    WRITERS[literal]()
    found = make(literal, dtype)
    assert found.dtype == dtype
    assert not found.requires_grad
    assert torch.equal(found, SAVED.to(dtype))


def test_every_suffix_is_read_and_tested() -> None:
    assert (
        set(READERS)
        == set(SUFFIXES)
        == {os.path.splitext(name.split(":")[0])[1] for name in WRITERS}
    )


@pytest.mark.smoke
@pytest.mark.parametrize("dtype", [np.int8, np.int64, np.uint8, np.uint16, np.uint64])
def test_integers_become_floats_and_bools_stay(dtype: Any) -> None:
    np.save("a.npy", np.array([1, 2], dtype=dtype))
    np.save("b.npy", np.array([True, False]))
    write("b.json", "[true, false]")
    torch.save(torch.tensor([True, False]), "b.pt")
    assert torch.equal(make("@a.npy"), torch.tensor([1.0, 2.0]))
    for name in ("@b.npy", "@b.json", "@b.pt"):
        assert torch.equal(make(name), torch.tensor([True, False]))


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("5", []),
        ("1,2,3", [3]),
        ("v\n1\n2\n", [2]),
        ("1\n", []),
        ("a,b\n1,2\n", [2]),
        ("1,2\n3,4\n", [2, 2]),
    ],
)
@pytest.mark.parametrize("suffix", [".csv", ".txt"])
def test_one_row_or_column_is_one_dimension(text: str, shape: list[int], suffix: str) -> None:
    assert list(make(write(f"a{suffix}", text)).shape) == shape


@pytest.mark.parametrize(
    "array", [np.zeros((0, 3)), np.float64(2.5), np.zeros((2, 0, 3), np.int32)]
)
def test_shapes_without_rows(array: Any) -> None:
    np.save("a.npy", array)
    np.savez("a.npz", array)
    assert list(make("@a.npy").shape) == list(make("@a.npz").shape) == list(array.shape)


@pytest.mark.skipif(sys.platform != "linux", reason="pages of 4096 bytes")
def test_a_large_array_is_mapped_and_not_copied() -> None:
    np.save("a.npy", np.arange(100_000, dtype=np.float32))
    before = Path("a.npy").read_bytes()
    found = make("@a.npy")
    assert (
        found.data_ptr() % 4096 == len(before) - 400_000
    )  # the numbers lie where the file has them
    found.add_(1)
    assert Path("a.npy").read_bytes() == before


# What cannot be read


@pytest.mark.parametrize(
    ("literal", "message", "hint"),
    [
        ("@dta.npy", "there is no such file", "did you mean data.npy?"),
        (
            "@loss.npy",
            "there is no such file",
            "check the path",
        ),  # not loss.py, which holds no numbers
        (
            "@none/a.npy",
            "there is no such file",
            "check the path: its folder cannot be read either",
        ),
        (
            "@data.npy/a.npy",
            "there is no such file",
            "check the path: its folder cannot be read either",
        ),
        ("@folder.npy", "this is a directory", "name a file in it"),
        ("@pipe.npy", "this is not a regular file", "pipe it in: - is standard input"),
        ("@hollow-file.npy", "the file is empty", "check the program that wrote it"),
        ("@a\0.npy", "invalid file name", "check the path"),
        ("@\ud800.npy", "invalid file name", "check the path"),
        (
            "@" + "a" * 5000 + ".npy",
            "the file cannot be reached: file name too long",
            "check the path",
        ),
    ],
)
def test_what_is_known_without_opening(literal: str, message: str, hint: str) -> None:
    np.save("data.npy", SAVED.numpy())
    os.mkdir("folder.npy")
    os.mkfifo("pipe.npy")
    write("hollow-file.npy", "")
    write("loss.py", "x = 1")
    found = parse(Source(literal, "--x"))
    assert isinstance(found, FromFile)
    with pytest.raises(FileError) as caught:
        check_file(found)
    assert (caught.value.message, caught.value.hint) == (message, hint)


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the superuser may read everything"
)
def test_a_file_without_permission() -> None:
    os.chmod(write("a.npy", "x")[1:], 0)
    assert refusal("@a.npy").message == "no permission to read this file"


@pytest.mark.parametrize(
    ("array", "held"),
    [
        (np.ones(2, complex), "complex numbers"),
        (np.array(["a"]), "text"),
        (np.array([b"a"]), "text"),
        (np.array([None, 1], dtype=object), "Python objects"),
        (np.zeros(2, dtype=[("a", float)]), "records, or a type unknown to NumPy"),
        (np.array(["2020"], dtype="M8[Y]"), "dates"),
        (np.array([1], dtype="m8[s]"), "time differences"),
    ],
)
def test_arrays_of_other_things(array: Any, held: str) -> None:
    np.save("a.npy", array)
    np.savez("a.npz", array)
    for literal in ("@a.npy", "@a.npz"):
        assert refusal(literal).message == f"the array contains {held}, not real numbers"


def npy(header: bytes, version: bytes = b"\x01\x00") -> bytes:
    return (
        b"\x93NUMPY"
        + version
        + len(header).to_bytes(2 if version[0] == 1 else 4, "little")
        + header
    )


@pytest.mark.parametrize(
    ("shape", "kind", "words"),
    [
        ("(100000000000,)", SizeError, "100,000,000,000 elements"),
        ("(4, 100000000)", SizeError, "400,000,000 elements"),
        ("(-1,)", FileError, "negative"),
        ("(1000,)", FileError, "truncated"),
        ("('a',)", FileError, "cannot be read as .npy"),
        ("(a,)", FileError, "cannot be read as .npy"),
    ],
)
def test_headers_are_checked_before_numbers_are_read(
    shape: str, kind: type[GradcliError], words: str
) -> None:
    content = npy(f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".encode())
    write("a.npy", content)
    with zipfile.ZipFile("a.npz", "w") as archive:
        archive.writestr("x.npy", content)
    for literal in ("@a.npy", "@a.npz"):
        error = refusal(literal)
        assert type(error) is kind
        assert words.removesuffix("y") in error.message


def test_packed_files_that_grow_are_refused() -> None:
    with zipfile.ZipFile("a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(
            "x.npy", npy(b"", b"\x02\x00")[:8] + (2**28).to_bytes(4, "little") + bytes(2**20)
        )
    assert "header" in refusal("@a.npz").message
    with zipfile.ZipFile("a.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(2**20))
    assert refusal("@a.pt").message == "the file is compressed, which PyTorch never does"


class Hostile:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("owned",)


def test_pickles_are_never_run() -> None:
    write("a.pt", pickle.dumps(Hostile()))
    torch.save({"w": Hostile()}, "b.pt")
    np.save("a.npy", np.array([Hostile()], dtype=object), allow_pickle=True)
    write("b.npy", pickle.dumps(Hostile()))
    np.savez("a.npz", x=np.array([Hostile()], dtype=object))
    for literal in ("@a.pt", "@b.pt", "@b.pt:w", "@a.npy", "@b.npy", "@a.npz"):
        assert isinstance(refusal(literal), FileError)
    assert not os.path.exists("owned")


@pytest.mark.parametrize(
    ("saved", "message"),
    [
        ([1, 2], "the file contains a list, not a tensor or a dict of tensors"),
        (torch.nn.Linear(2, 1), "the file contains more than tensors"),
        (torch.ones(2, dtype=torch.complex64), "the tensor is complex"),
        (torch.ones(2).to_sparse(), "the tensor is sparse, quantized, nested or without data"),
        (torch.ones(2, device="meta"), "the tensor is sparse, quantized, nested or without data"),
        ({"epoch": 3}, "none of the values in the file is a tensor"),
        ({"model": {"epoch": 3}}, "none of the values in the file is a tensor"),
        ({}, "the file contains no arrays"),
    ],
)
def test_pt_files_of_other_things(saved: object, message: str) -> None:
    torch.save(saved, "a.pt")
    assert refusal("@a.pt").message == message


def test_a_view_larger_than_its_numbers_is_refused() -> None:
    torch.save(torch.ones(1).expand(ELEMENTS.value + 1), "a.pt")
    assert isinstance(refusal("@a.pt"), SizeError)


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("a.npy", "a file needs @ before its name", "@a.npy"),
        ("a@b.npy", "a file needs @ before its name", "@a@b.npy"),
        ("-@a.npy", "a file must be the whole literal", "write @a.npy, and compute"),
        ("2 * @a.npz:w", "a file must be the whole literal", "write @a.npz:w, and compute"),
    ],
)
def test_a_file_is_a_literal_of_its_own(text: str, message: str, hint: str) -> None:
    error = refusal(text)
    assert error.message == message
    assert error.hint.startswith(hint)


def test_keys() -> None:
    np.savez("a.npz", weights=np.ones(2), bias=np.zeros(1))
    torch.save({"weights": torch.ones(2), "bias": torch.zeros(1)}, "a.pt")
    torch.save(torch.ones(2), "b.pt")
    for name in ("@a.npz", "@a.pt", save_safetensors(weights=torch.ones(2), bias=torch.zeros(1))):
        several, wrong, unlike = refusal(name), refusal(f"{name}:weigths"), refusal(f"{name}:q")
        assert (several.message, several.hint) == (
            "the file contains 2 arrays",
            "name one after a colon; it contains bias, weights",
        )
        assert (wrong.message, wrong.hint) == (
            "the file has no array of this name",
            "did you mean weights?",
        )
        assert unlike.hint == "it contains bias, weights"
    assert refusal("@b.pt:w").message == "the file is a single tensor without a name"


def test_safetensors_is_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "safetensors", None)
    assert refusal(write("a.safetensors", "x")).hint == "pip install safetensors"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x,y\n1,2\n3,abc\n", "line 3, column 2: 'abc' is not a number"),
        ("1,x\n2,3\n", "line 1, column 2: 'x' is not a number"),
        ("# a\n\n1,,2\n", "line 3, column 2: the cell is empty"),
        ("1,2,\n", "line 1, column 3: the cell is empty"),
        ("1,2\n3\n", "line 2: the number of columns changes from 2 to 1"),
        ("1,1e400\n", "line 1, column 2: '1e400' is too large for a 64-bit float"),
        ("inf,1\n2,1e999\n", "line 2, column 2: '1e999' is too large for a 64-bit float"),
        ("1,1_000\n", "line 1, column 2: '1_000' is not a number"),
        ("1,\u0663\n", "line 1, column 2: '\\u0663' is not a number"),
        ("1,2\n1,\x00\n", "the file is not UTF-8 text"),
        ("1,1+2j\n", "line 1, column 2: '1+2j' is not a number"),
        ("a,b\n", "the file contains no numbers"),
        ("\n\n", "the file contains no numbers"),
    ],
)
def test_columns_that_hold_something_else(text: str, message: str) -> None:
    assert refusal(write("a.csv", text)).message == message
    assert refusal(write("a.txt", text)).message == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1,\nx]", "line 2, column 1: expecting value"),
        (
            "[1,\n2,]",
            "line 2, column 2: illegal trailing comma before end of array"
            if sys.version_info >= (3, 13)
            else "line 2, column 3: expecting value",
        ),
        ("hello", "line 1, column 1: expecting value"),
        ('{"a": 1}', "expected a number, got an object"),
        ("[null]", "expected a number, got null"),
        ('["a"]', "expected a number, got a string"),
        ("[1, true]", "expected a number, got a bool"),
        ("[[1], [2, 3]]", "row 2 has 2 numbers, but row 1 has one number"),
        ("[[1], 2]", "row 2 is a bare number, but row 1 has one number"),
    ],
)
def test_json_that_holds_something_else(text: str, message: str) -> None:
    assert refusal(write("a.json", text)).message == message


def test_text_that_goes_too_far() -> None:
    for number in ("1e400", "1" * 400):
        error = refusal(write("a.json", f"[1, {number}]"))
        assert error.message == "the number is too large for 64 bits"
        assert error.hint == 'write "inf" for an infinite number'
    assert "levels of nesting" in refusal(write("a.json", "[" * 70 + "]" * 70)).message
    assert "levels of nesting" in refusal(write("a.json", "[" * 100_000)).message
    assert make(write("a.json", '[1, "inf"]'))[-1] == torch.inf
    error = refusal(write("a.txt", "[1, 2, x]"))
    assert isinstance(error, FileError)
    assert error.span is not None
    assert error.span.draw() == ["[1, 2, x]", "       ^"]


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    "content",
    [b"\xff\xfe\x00", b"PK\x03\x04", bytes(range(256)), b"\x93NUMPY\x01\x00", b"(" * 9999],
)
def test_wrong_contents(suffix: str, content: bytes) -> None:
    assert isinstance(refusal(write(f"a{suffix}", content)), FileError | SizeError)


@pytest.mark.parametrize(
    "literal",
    [name for name in WRITERS if Path(name.split(":")[0]).suffix in (".npy", ".npz", ".pt")],
)
def test_a_file_that_is_cut_off(literal: str) -> None:
    WRITERS[literal]()
    name = literal[1:].split(":")[0]
    whole = Path(name).read_bytes()
    for size in (5, 70, len(whole) // 2, len(whole) - 8):
        write(name, whole[:size])
        assert isinstance(refusal(literal), FileError), size


# --- names that mislead, and names that no terminal may see as they are -------------------------


def test_a_path_with_a_tilde_or_a_dash_says_what_to_type(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    env = {"HOME": str(home)}
    for words, said in {
        ("grad", "x", "x=1", "--out", "~/x.json"): f"write {home}/x.json",
        ("grad", "x", "x=1", "--out", "~nobody-here/x.json"): "there is no user nobody-here",
        ("grad", "x", "x=1", "--out", "-"): "--json, --csv and --get write to",
        ("batch", "~/jobs.jsonl"): f"write {home}/jobs.jsonl",
        ("batch", "-jobs.jsonl"): "- alone means standard input",
        ("activate", "relu", "--x", "@~/x.npy"): f"there is no such file: {home}/x.npy",
        ("activate", "relu", "--x", "@~nobody-here/x.npy"): "there is no user nobody-here",
        ("activate", "relu", "--x", "@-.npy"): "- alone means standard input",
        ("activate", "relu", "--x", "~/x.npy"): "\n  @~/x.npy\n",
        ("grad", "x", "x=-.npz:w"): "\n  @-.npz:w\n",
    }.items():
        refused = run(*words, env=env, cwd=str(tmp_path))
        assert (refused.status, refused.stdout) == (2, ""), words
        assert said in refused.stderr
    (tmp_path / "~").mkdir()
    assert (
        run("grad", "x", "x=1", "--out", "~/x.json", env=env, cwd=str(tmp_path)).status == 0
    )  # a folder of that name
    assert (tmp_path / "~" / "x.json").exists()


ODD = ("\x1b[2J", "\n", "\r", "\x07", "\x9b", "\u202e", "\u2066", "\u200b", "\udcff")
"""What a terminal obeys: escape sequences, ends of lines, a bell, marks of direction; what it
cannot show."""


@pytest.mark.parametrize("odd", [*ODD[:2], *map(rare, ODD[2:])], ids=ascii)
def test_what_a_terminal_obeys_is_never_printed(odd: str, tmp_path: Path) -> None:
    """In errors, the line of --out, usage errors and completion, wherever a word of the user's or a
    file's name can stand.
    """
    name = f"a{odd}b"
    escaped = name.encode("unicode_escape").decode()
    assert run("grad", "x", "x=1", "--out", f"{name}.json", cwd=str(tmp_path)) == Ran(
        f"wrote {escaped}.json\n", "", 0
    )
    assert (tmp_path / f"{name}.json").exists()
    assert run("why", "--out", f"{name}.json", cwd=str(tmp_path)) == Ran(
        f"wrote {escaped}.json\n", "", 0
    )
    for words in (
        ("grad", "x", "x=1", "--out", f"no/{name}.json"),
        ("grad", "x", "x=1", "--out", name),
        ("activate", "relu", "--x", f"@{name}.npy"),
        ("activate", "relu", "--x", name),
        ("activate", name, "--x", "1"),
        ("batch", f"{name}.jsonl"),
        ("perceptron", "--train", f"@{name}.csv"),
        ("grad", f"@{name}"),
        ("grad", "x", "x=1", f"--{name}"),
        ("grad", "x", "x=1", "--get", name),
        ("grad", "x", "x=1", name),
        ("grad", "x", "x=1", "--device", name),
        (name,),
    ):
        refused = run(*words, cwd=str(tmp_path))
        assert (refused.status, refused.stdout) == (2, ""), words
        assert all(char.isprintable() for char in refused.stderr.replace("\n", "")), words
        assert refused.stderr.count("\n") <= 7
