"""Files made to do harm: each is one short error with its cause, nothing in it is run, and a batch
goes on behind it.

What files hold by mistake is in `test_files`; here somebody means it.
"""

import io
import json
import os
import pickle
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.program import run

OWNED = "owned"
"""The folder that a file makes where something in it is run."""
NUMBERS = bytes(16)
HOLE = 2**40
"""Bytes that a file claims to have without taking any room on the disk."""


class Deed:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (OWNED,)


def npy(
    shape: str = "(2,)", descr: str = "'<f8'", order: str = "False", body: bytes = NUMBERS
) -> bytes:
    header = f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}}}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + body


def packed(members: dict[str, bytes], packing: int = zipfile.ZIP_STORED) -> bytes:
    found = io.BytesIO()
    with zipfile.ZipFile(found, "w", packing) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return found.getvalue()


def patched(content: bytes, *places: tuple[int, int, bytes]) -> bytes:
    """A zip of one member with bytes replaced: at a place of its own header and at one of the
    directory's.
    """
    found = bytearray(content)
    for own, listed, new in places:
        directory = found.index(b"PK\x01\x02")
        found[own : own + len(new)] = found[directory + listed : directory + listed + len(new)] = (
            new
        )
    return bytes(found)


def pt(program: bytes) -> bytes:
    """What torch.save writes, around another pickle."""
    return packed({"a/data.pkl": program, "a/version": b"3\n", "a/byteorder": b"little"})


def saved(value: object) -> bytes:
    found = io.BytesIO()
    torch.save(value, found)
    return found.getvalue()


ITSELF: dict[str, object] = {}
ITSELF["a"] = ITSELF


def tar() -> bytes:
    """PyTorch's oldest format, with a pickle in each of its members."""
    found = io.BytesIO()
    with tarfile.open(fileobj=found, mode="w") as archive:
        for name in ("sys_info", "pickle", "storages", "tensors"):
            content = pickle.dumps(Deed())
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return found.getvalue()


def st(header: object, body: bytes = b"", length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + body


def one(shape: list[Any], start: int, stop: int, dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, stop]}


MEMBER = packed({"x.npy": npy()})
SAFE = st({"x": one([2], 0, 8)}, bytes(8))
GLOBAL = b"\x80\x02cposix\nmkdir\nX\x05\x00\x00\x00owned\x85R."
HEADER = "its header does not describe an array"
UNSAFE = "the file contains more than tensors"
REFUSED: dict[str, tuple[bytes, str]] = {
    # --- .npy
    "code in the shape.npy": (npy(f"(__import__('os').mkdir('{OWNED}'),)"), HEADER),
    "code in the type.npy": (npy(descr=f"__import__('os').mkdir('{OWNED}')"), HEADER),
    "a pickle.npy": (npy("(1,)", "'|O'", body=pickle.dumps(Deed())), "the array contains Python objects"),
    "a side of 5,000 digits.npy": (npy(f"({'9' * 5000},)"), HEADER),
    "a side of 30 digits.npy": (npy(f"({'9' * 30},)"), "but at most 268,435,456 are allowed"),
    "no rows of too many columns.npy": (npy(f"(0, {'9' * 30})"), "cannot be read as .npy"),
    "two negative sides.npy": (npy("(-2, -1)"), "a negative dimension"),
    "a broken side.npy": (npy("(2.0,)"), HEADER),
    "no tuple.npy": (npy("2"), HEADER),
    "65 dimensions.npy": (npy(f"({'1,' * 65})"), "cannot be read as .npy"),
    "a type of types.npy": (npy(descr="[" * 300 + "]" * 300), HEADER),
    "a row of a terabyte.npy": (npy(descr="('<f8', (1000000, 1000000))"), HEADER),
    "brackets.npy": (b"\x93NUMPY\x01\x00" + struct.pack("<H", 9000) + b"(" * 9000, HEADER),
    "signs.npy": (b"\x93NUMPY\x01\x00" + struct.pack("<H", 9001) + b"-" * 9000 + b"1", HEADER),
    "a header of 4 GB.npy": (b"\x93NUMPY\x02\x00\xff\xff\xff\xff" + NUMBERS, HEADER),
    "an unknown order.npy": (npy(order="'C'"), HEADER),
    "an unknown version.npy": (b"\x93NUMPY\x09" + npy()[7:], "cannot be read as .npy"),
    # --- .npz
    "a pickle.npz": (packed({"x.npy": pickle.dumps(Deed())}), "cannot be read as .npz"),
    "an object.npz": (packed({"x.npy": npy("(1,)", "'|O'", body=pickle.dumps(Deed()))}), "the array contains Python objects"),
    "code.npz": (packed({"x.npy": npy(f"(__import__('os').mkdir('{OWNED}'),)")}), HEADER),
    "bz2.npz": (packed({"x.npy": npy()}, zipfile.ZIP_BZIP2), "NumPy does not use this compression"),
    "lzma.npz": (packed({"x.npy": npy()}, zipfile.ZIP_LZMA), "NumPy does not use this compression"),
    "a packing of nobody.npz": (patched(MEMBER, (8, 10, b"\x63")), "NumPy does not use this compression"),
    "a secret.npz": (patched(MEMBER, (6, 8, b"\x01")), "is encrypted"),
    "more than was said.npz": (
        patched(packed({"x.npy": npy("(1000000,)", body=bytes(8_000_000))}, 8), (22, 24, struct.pack("<I", 100))),
        "cannot be read as .npz",
    ),
    "less than was said.npz": (packed({"x.npy": npy("(200000000,)")}, 8), "the file is truncated"),
    "a zip in a zip.npz": (packed({"x.npy": MEMBER}), "cannot be read as .npz"),
    "a directory that is elsewhere.npz": (
        b"PK\x05\x06\0\0\0\0\x01\0\x01\0\xff\xff\xff\x7f\xff\xff\xff\x7f\0\0", "cannot be read as .npz"
    ),
    "names that move the cursor.npz": (packed({"a\x1b[2J.npy": npy(), "b.npy": npy()}), "the file contains 2 arrays"),
    # --- .pt
    "a pickle.pt": (pickle.dumps(Deed()), UNSAFE),
    "an object.pt": (saved({"w": Deed()}), UNSAFE),
    "a call of the first protocol.pt": (pt(b"(S'owned'\niposix\nmkdir\n."), UNSAFE),
    "a call of the second protocol.pt": (pt(GLOBAL), UNSAFE),
    "a call of the fourth protocol.pt": (pt(pickle.dumps(Deed(), 4)), UNSAFE),
    "a tar.pt": (tar(), UNSAFE),
    "a long number.pt": (pt(b"\x80\x02\x8b\xff\xff\xff\x7f\x01"), UNSAFE),
    "a long text.pt": (pt(b"\x80\x02X\xff\xff\xff\xffa"), "cannot be read as .pt"),
    "lists of lists of lists.pt": (
        pt(b"\x80\x02]q\0" + b"".join(b"]q%c(%be" % (i + 1, b"h%c" % i * 9) for i in range(60)) + b"."), "contains a list"
    ),
    "a dict in itself.pt": (saved(ITSELF), "none of the values in the file is a tensor"),
    "no end.pt": (pt(b"\x80\x02]"), "cannot be read as .pt"),
    "a packed pickle.pt": (packed({"a/data.pkl": bytes(2**20)}, 8), "the file is compressed, which PyTorch never does"),
    "a path out of the archive.pt": (packed({"../../x/data.pkl": b"\x80\x02]."}), "cannot be read as .pt"),
    # --- .csv and .json
    "a NUL.csv": (b"1,2\n3,\x004\n", "not UTF-8 text"),
    "UTF-16.csv": ("1,2\n".encode("utf-16-le"), "not UTF-8 text"),
    "an exponent of 100,000 digits.csv": (b"1e" + b"9" * 100_000 + b"\n", "is too large for a 64-bit float"),
    "commas.csv": (b"," * 1_000_000, "the file contains no numbers"),
    "a formula.csv": (b"=cmd|'/C calc'!A0,1\n", "is not a number"),
    "a call.txt": (f"tensor(__import__('os').mkdir('{OWNED}'))".encode(), "unknown constructor"),
    "a million digits.json": (b"[" + b"9" * 1_000_000 + b"]", "the number is too large for 64 bits"),
    "an open door.json": (b"[" * 1_000_000, "levels of nesting"),
    "objects in objects.json": (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "levels of nesting"),
    "one key twice.json": (b'{"a": 1, "a": 2}', "expected a number, got an object"),
    "half a character.json": (b'["\\ud800"]', "expected a number, got a string"),
}  # fmt: skip
"""Each file by its name, with its content and words of the error."""

SAFETENSORS: dict[str, tuple[bytes, str]] = {
    "a length beyond the file": (st({"x": one([2], 0, 8)}, bytes(8), 10**6), "cannot be read"),
    "a length of 2**63": (st({}, length=2**63), "cannot be read"),
    "offsets that overlap": (st({"x": one([2], 0, 8), "y": one([2], 4, 12)}, bytes(12)), "invalid offset or InvalidOffset"),
    "offsets with a hole": (st({"x": one([2], 0, 8), "y": one([2], 12, 20)}, bytes(20)), "invalid offset or InvalidOffset"),
    "a negative offset": (st({"x": one([2], -8, 0)}, bytes(8)), "cannot be read"),
    "an offset beyond the file": (st({"x": one([200], 0, 800)}, bytes(8)), "cannot be read"),
    "offsets backwards": (st({"x": one([2], 8, 0)}, bytes(8)), "cannot be read"),
    "a shape beyond its numbers": (st({"x": one([10**12], 0, 8)}, bytes(8)), "cannot be read"),
    "a shape beyond 64 bits": (st({"x": one([2**40, 2**40], 0, 8)}, bytes(8)), "cannot be read"),
    "a broken shape": (st({"x": one([2.0], 0, 8)}, bytes(8)), "cannot be read"),
    "a name twice": (st(SAFE[8:-9] + b"," + SAFE[9:-8].replace(b"2", b"1").replace(b"8", b"4"), bytes(8)), "cannot be read"),
    "a deep header": (st(b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}"), "recursion limit or InvalidHeader"),
    "half numbers": (st({"x": one([2], 0, 1, "F4")}, bytes(1)), "real numbers or InvalidHeader or type F4"),
    "a pickle": (pickle.dumps(Deed()), "cannot be read"),
}  # fmt: skip


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def refused(name: str, content: bytes, words: str) -> None:
    Path(name).write_bytes(content)
    ran = run("grad", "x.sum()", f"x=@{name}")
    assert (ran.status, ran.stdout) == (2, "")
    assert ran.stderr.startswith("error: x: ")
    first = ran.stderr.splitlines()[0]
    assert any(each in first for each in words.split(" or ")), first
    assert len(ran.stderr.splitlines()) <= 7
    assert ran.stderr.isascii()
    assert "\x1b" not in ran.stderr
    assert " at 0x" not in ran.stderr  # what differs from run to run
    assert os.listdir() == [name]


@pytest.mark.parametrize("name", REFUSED)
def test_one_error_with_its_cause(name: str) -> None:
    refused(name, *REFUSED[name])


@pytest.mark.parametrize("name", SAFETENSORS)
def test_one_error_with_its_cause_for_safetensors(name: str) -> None:
    pytest.importorskip("safetensors", reason="an extra")
    refused(f"{name}.safetensors", *SAFETENSORS[name])


@pytest.mark.filterwarnings("ignore")
def test_tensors_in_a_tensor() -> None:
    refused(
        "a.pt",
        saved(torch.nested.nested_tensor([torch.ones(2), torch.ones(3)])),
        "nested or more than tensors",
    )


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".pt", ".csv", ".txt", ".tsv", ".json"])
def test_a_file_of_a_terabyte_that_takes_no_room_is_refused_at_once(suffix: str) -> None:
    Path(f"a{suffix}").write_bytes(b"")
    os.truncate(f"a{suffix}", HOLE)
    ran = run("grad", "x.sum()", f"x=@a{suffix}", "--timeout", "20")
    assert (ran.status, ran.stdout) == (2, "")
    assert "20 s" not in ran.stderr


def test_numbers_in_front_of_a_hole_are_those_that_the_header_names() -> None:
    Path("a.npy").write_bytes(npy(body=struct.pack("<2d", 1, 2)))
    os.truncate("a.npy", HOLE)
    assert run("grad", "x.sum()", "x=@a.npy", "--get", "value").stdout == "3.0\n"


def test_a_name_that_leads_out_of_the_archive_is_nothing_but_a_name() -> None:
    Path("a.npz").write_bytes(packed({"../../x.npy": npy(body=struct.pack("<2d", 1, 2))}))
    assert run("grad", "x.sum()", "x=@a.npz:../../x", "--get", "value").stdout == "3.0\n"
    assert os.listdir() == ["a.npz"]


def test_a_batch_refuses_each_and_goes_on() -> None:
    good = {"command": "activate", "names": "relu", "x": 1}
    jobs = []
    for name, (content, _) in REFUSED.items():
        Path(name).write_bytes(content)
        jobs += [{"command": "grad", "expression": "x.sum()", "inputs": {"x": f"@{name}"}}, good]
    ran = run("batch", "--allow-files", stdin="".join(json.dumps(job) + "\n" for job in jobs))
    assert ran.status == 1
    found = [json.loads(line) for line in ran.stdout.splitlines()]
    assert len(found) == len(jobs)
    assert {line["error"]["kind"] for line in found[::2]} == {"file", "size"}
    assert all("error" not in line for line in found[1::2])
    assert sorted(os.listdir()) == sorted(REFUSED)


@pytest.mark.parametrize("make", [Deed(), {"w": Deed()}])
def test_the_files_of_these_tests_are_loaded_guns(make: object) -> None:
    pickle.loads(pickle.dumps(make))
    assert os.listdir() == [OWNED]


KINDS: dict[str, Callable[[str], object]] = {
    "/dev/zero": lambda name: os.symlink("/dev/zero", name),
    "/dev/null": lambda name: os.symlink("/dev/null", name),
    "/dev/stdin": lambda name: os.symlink("/dev/stdin", name),
    "/proc/self/mem": lambda name: os.symlink("/proc/self/mem", name),
    "a link to itself": lambda name: os.symlink(name, name),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("suffix", [".csv", ".npy"])
def test_what_is_no_file_of_numbers_is_never_opened(kind: str, suffix: str) -> None:
    KINDS[kind](f"a{suffix}")
    ran = run("grad", "x.sum()", f"x=@a{suffix}", "--timeout", "20")
    assert (ran.status, ran.stdout) == (2, "")
    assert "20 s" not in ran.stderr


def test_what_the_shell_puts_for_a_process_is_told_how_to_come_in() -> None:
    ran = run("grad", "x.sum()", "x=@/dev/fd/63")
    assert ran.status == 2
    assert "pipe it in: - is standard input" in ran.stderr
