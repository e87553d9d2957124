"""Files of every kind that gradcli reads, valid ones and broken ones, and the folder of files that
other inputs speak of.
"""

import io
import json
import os
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import safetensors.torch
import torch

from tools.fuzz import corpus, grammar, mutation, requests, runners
from tools.fuzz.grammar import Chance
from tools.fuzz.runners import Scratch

ZIPPED = (".npz", ".pt")


@dataclass(frozen=True)
class File:
    """A file to be read: its suffix (`.py`: an expression), its content, and the key behind its
    name.
    """

    suffix: str
    content: bytes
    key: str = ""


@cache
def valid() -> dict[str, list[bytes]]:
    """Files that can be read, by suffix."""
    torch.manual_seed(0)
    matrix, vector = np.arange(6.0).reshape(2, 3), torch.randn(5)
    arrays = [matrix, matrix.astype(">f4"), np.asfortranarray(matrix), np.float64(2), np.zeros((0, 3)), np.arange(4),
    np.array([True, False]),
              np.arange(3, dtype=np.float16), matrix.astype(np.longdouble), np.array(["a"]), np.array([1j]), np.zeros(3,
              dtype="f4,i2")]  # fmt: skip
    tensors: list[Any] = [vector, torch.arange(3), torch.randn(2, 3, dtype=torch.float64), {"w": vector,
    "b": torch.tensor(1.0)}, vector.half(),
                          torch.nn.Linear(2, 2).state_dict(), [vector], "text", vector.to_sparse(), torch.randn(2,
                          dtype=torch.complex64)]  # fmt: skip
    return {
        ".npy": [_npy(array) for array in arrays],
        ".npz": [_npz(False, a=matrix), _npz(True, a=matrix, b=np.arange(3.0)), _npz(False), _npz(False, a=np.array(["x"]))],
        ".csv": [b"a,b\n1,2\n3,4\n", b"1,2\n3,4", b"1;2\n3;4\n", b"x\n1\n2\n", b"\xef\xbb\xbf1,2\r\n3,4\r\n", b"# c\n1,nan\n",
        b'"1","2"\n'],
        ".tsv": [b"a\tb\n1\t2\n3\t4\n", b"1\t2\n", b"1.5\n"],
        ".txt": [b"1 2\n3 4\n", b"tensor([[1., 2.],\n        [3., 4.]])\n", b"[1. 2. 3.]", b"array([1, 2])", b"a b\n1 2\n",
        b"1\n2\n3\n"],
        ".json": [b"[1, 2, 3]", b"[[1, 2], [3, 4]]", b"1.5", b'[1, "NaN", "-Infinity"]', b"[true, false]", b'{"a": 1}', b"[]",
        b"null"],
        ".pt": [*(_pt(value) for value in tensors), _pt(vector, _use_new_zipfile_serialization=False), _pt({"w": vector},
        pickle_protocol=4)],
        ".safetensors": [safetensors.torch.save({"w": vector, "b": torch.ones(2, 2)}),
        safetensors.torch.save({"w": torch.arange(3)})],
        ".py": [text.encode("utf-8", "surrogatepass") for text in corpus.expressions()[::5]],
    }  # fmt: skip


def _npy(array: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def _npz(packed: bool, **arrays: Any) -> bytes:
    file = io.BytesIO()
    (np.savez_compressed if packed else np.savez)(file, **arrays)
    return file.getvalue()


def _pt(value: Any, **options: Any) -> bytes:
    file = io.BytesIO()
    torch.save(value, file, **options)
    return file.getvalue()


def draw(chance: Chance) -> File:
    """A file, most of them broken."""
    suffix = chance.choice([*valid()])
    others = valid()[suffix]
    content = chance.choice(others)
    if suffix in ZIPPED and chance.random() < 0.5:
        content = _repacked(content, chance)
    elif suffix in (".txt", ".json", ".csv", ".tsv") and chance.random() < 0.3:
        content = grammar.literal(chance).encode("utf-8", "replace")
    elif chance.random() < 0.9:
        content = mutation.raw(content, chance, [*others, *valid()[chance.choice([*valid()])]])
    return File(
        suffix,
        content,
        chance.choice(("", "", "a", "w", "b", "x", "a.npy", "data"))
        if suffix in (".npz", ".pt", ".safetensors")
        else "",
    )


def _repacked(content: bytes, chance: Chance) -> bytes:
    """An archive with one of its members broken and the sums right: what is behind the checks of
    the archive itself.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = [(info.filename, archive.read(info)) for info in archive.infolist()]
    except zipfile.BadZipFile:  # the older form
        return content
    file = io.BytesIO()
    broken = chance.randrange(len(members) or 1)
    with zipfile.ZipFile(
        file, "w", chance.choice((zipfile.ZIP_STORED, zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    ) as archive:
        for number, (name, member) in enumerate(members):
            if number == broken:
                member = mutation.raw(member, chance, [other for _, other in members])
                name = (
                    mutation.text(name, chance, ("..", "/", ".npy", "data.pkl"), [name])
                    if chance.random() < 0.1
                    else name
                )
            archive.writestr(
                name.replace("\0", "").encode("utf-8", "replace").decode() or "x", member
            )
    return file.getvalue()


def run(given: Sequence[File], scratch: Scratch) -> list[str]:
    """The verdicts on files, each read by a job."""
    jobs = []
    for number, file in enumerate(given):
        path = scratch.path("data", f"{number}{file.suffix}")
        with open(path, "wb") as stream:
            stream.write(file.content)
        job: dict[str, Any] = {"id": number, "command": "grad", "timeout": requests.PATIENCE}
        if file.suffix == ".py":
            job |= {
                "expression": f"@{path}",
                "inputs": {"x": [1, -2, 3], "y": [0.5, 2, 1], "A": [[1, 2], [3, 4]]},
            }
        else:
            job |= {
                "expression": "x.sum()",
                "inputs": {"x": f"@{path}{':' if file.key else ''}{file.key}"},
            }
        jobs.append(json.dumps(job).encode())
    return runners.lines(jobs, scratch, ("--allow-files",))


def furnish(scratch: Scratch) -> None:
    """Fill the folder of data with what literals and words speak of: good files, and what only
    looks like one.
    """
    for name, suffix, number in (
        ("good", ".npy", 0),
        ("two", ".npz", 1),
        ("good", ".csv", 0),
        ("good", ".json", 0),
    ):
        with open(scratch.path("data", name + suffix), "wb") as file:
            file.write(valid()[suffix][number])
    with open(scratch.path("data", "jobs.jsonl"), "wb") as file:
        file.write(b"\n".join(requests.OTHERS))
    with open(scratch.path("data", "empty.npy"), "wb"):
        pass
    os.mkfifo(scratch.path("data", "a.fifo.npy"))
    os.mkdir(scratch.path("data", "folder.npy"))
    os.symlink("nowhere", scratch.path("data", "dangling.pt"))
