"""The address of every number of a result: one walk that JSON, `--get`, `--out` and `--expect` share."""

from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

from gradcli.errors import UsageError
from gradcli.results import Result
from gradcli.text.suggest import did_you_mean


def tree(value: Any) -> Any:
    """A result as nested dicts and lists under its JSON keys; the leaves are tensors, numbers, text, bools and None."""
    if isinstance(value, Tensor):
        return value
    if isinstance(value, dict):
        return {name: tree(item) for name, item in value.items()}
    if isinstance(value, list):
        return [tree(item) for item in value]
    return {name: tree(item) for name, item in shown(value).items()} or value


def shown(value: Any) -> dict[str, Any]:
    """The fields of a result, or of a piece of one, that are keys of its JSON; none where it is another value."""
    kind: type = type(value)
    names = _shown(kind)
    held = vars(value) if names else {}
    return {name: item for name, kept_as_none in names if (item := held[name]) is not None or kept_as_none}


@cache
def _shown(kind: type) -> tuple[tuple[str, bool], ...]:
    """The fields of a type of results that are keys, and whether each is there while it is None; none of another type."""
    found = fields(kind) if is_dataclass(kind) else ()
    return tuple((f.name, not f.metadata.get("omit_none")) for f in found if not f.metadata.get("aside"))


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every leaf of a tree with its path, such as `gradients.w` or `functions.0.value`."""
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in items:
            yield from leaves(item, f"{path}.{key}" if path else str(key))
    else:
        yield path, value


def find(result: Result, path: str, option: str = "--get") -> Any:
    """What lies at `path` in a result: a subtree, a leaf, an element or row of a tensor, or a column of a list of rows.

    Raises UsageError about `option` that names the nearest paths where nothing lies there.
    """
    value = tree(result)
    done: list[str] = []
    for key in path.split("."):
        if isinstance(value, dict) and key in value:
            value = value[key]
        elif isinstance(value, list | Tensor) and _is_index(key, value):
            value = value[int(key)]
        elif isinstance(value, list) and value and all(isinstance(item, dict) and key in item for item in value):
            value = [item[key] for item in value]
        else:
            raise _unknown(path, done, value, option)
        done.append(key)
    return stacked(value) if isinstance(value, list) else value


def stacked(column: list[Any]) -> Any:
    """One tensor where all items are tensors of one shape; else the list as it is."""
    alike = len({item.shape if isinstance(item, Tensor) else None for item in column}) == 1
    return torch.stack(column) if alike and isinstance(column[0], Tensor) else column


def index(place: int, shape: Sequence[int]) -> tuple[int, ...]:
    """The index of an element from its place in row-major order. torch.unravel_index would load SymPy: 0.3 s."""
    found = []
    for size in reversed(shape):
        place, at = divmod(place, size)
        found.append(at)
    return tuple(reversed(found))


def _is_index(key: str, value: list[Any] | Tensor) -> bool:
    size = len(value) if isinstance(value, list) or value.ndim else 0
    return key.isascii() and key.isdigit() and len(key) < 12 and int(key) < size


def _unknown(path: str, done: list[str], value: Any, option: str) -> UsageError:
    prefix = ".".join(done)
    if isinstance(value, dict):
        keys = [f"{prefix}.{key}" if prefix else key for key in value]
        cure = (
            did_you_mean(path, [name for name, _ in leaves(value, prefix)] + keys)
            or f"there are {', '.join(keys[:12])}"
        )
    elif isinstance(value, list) or (isinstance(value, Tensor) and value.ndim):
        columns = [f"{prefix}.{key}" for key in value[0]] if len(value) and isinstance(value[0], dict) else []
        items = f"{prefix} holds {len(value)} items: {prefix}.0 to {prefix}.{len(value) - 1}"
        of_all = f"; of all of them: {', '.join(columns)}" if columns else ""
        cure = items + of_all if len(value) else f"{prefix} is empty"
    else:
        cure = f"{prefix} is a single value"
    return UsageError(f"{option}: there is no {path!r} in the result", cure=cure)
