"""The address of every number of a result: one walk that JSON, `--get`, `--out` and `--expect`
share.
"""

from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, TypeGuard

from gradcli.errors import UsageError
from gradcli.language.suggest import did_you_mean

if (
    TYPE_CHECKING
):  # what has tensors has loaded PyTorch; a list of names goes the same way without it
    from torch import Tensor


def tree(value: Any) -> Any:
    """A result as nested dicts and lists under its JSON keys; the leaves are tensors, numbers,
    text, bools and None.
    """
    if _is_tensor(value):
        return value
    if isinstance(value, dict):
        return {name: tree(item) for name, item in value.items()}
    if isinstance(value, list):
        return [tree(item) for item in value]
    return {name: tree(item) for name, item in shown(value).items()} or value


def shown(value: Any) -> dict[str, Any]:
    """The fields of a result, or of a piece of one, that are keys of its JSON; none where it is
    another value.
    """
    kind: type = type(value)
    names = _shown(kind)
    held = vars(value) if names else {}
    return {
        name: item
        for name, kept_as_none in names
        if (item := held[name]) is not None or kept_as_none
    }


@cache
def _shown(kind: type) -> tuple[tuple[str, bool], ...]:
    """The fields of a type of results that are keys, and whether each is there while it is None;
    none of another type.
    """
    found = fields(kind) if is_dataclass(kind) else ()
    return tuple(
        (f.name, not f.metadata.get("omit_none")) for f in found if not f.metadata.get("aside")
    )


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every leaf of a tree with its path, such as `gradients.w` or `functions.0.value`."""
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in items:
            yield from leaves(item, f"{path}.{key}" if path else str(key))
    else:
        yield path, value


def lone(found: dict[str, Any]) -> str:
    """The path of the one function, loss or curve of a tree, whose fields need no prefix:
    `functions.0`; else empty.
    """
    return next(
        (
            f"{several}.0"
            for several in ("functions", "losses", "curves")
            if len(found.get(several, ())) == 1
        ),
        "",
    )


def whole(found: dict[str, Any], path: str) -> str:
    """A path into a tree, with the prefix that may be left out: `value` of one function is
    `functions.0.value`.
    """
    first, only = path.partition(".")[0], lone(found)
    return (
        f"{only}.{path}" if only and first not in found and first in found[only[:-2]][0] else path
    )


def find(result: object, path: str, option: str = "--get") -> Any:
    """What lies at `path` in a result: a subtree, a leaf, an element or row of a tensor, or a
    column of a list of rows.

    Raises UsageError about `option` that names the nearest paths where nothing lies there.
    """
    value = tree(result)
    done: list[str] = []
    for key in whole(value, path).split("."):
        if isinstance(value, dict) and key in value:
            value = value[key]
        elif (isinstance(value, list) or _is_tensor(value)) and _is_index(key, value):
            value = value[int(key)]
        elif (
            isinstance(value, list)
            and value
            and all(isinstance(item, dict) and key in item for item in value)
        ):
            value = [item[key] for item in value]
        else:
            raise _unknown(path, done, value, option)
        done.append(key)
    return stacked(value) if isinstance(value, list) else value


def stacked(column: list[Any]) -> Any:
    """One tensor where all items are tensors of one shape; else the list as it is."""
    shapes = {item.shape if _is_tensor(item) else None for item in column}
    if len(shapes) != 1 or None in shapes:
        return column
    import torch  # which has made these tensors

    return torch.stack(column)


def short(found: dict[str, Any]) -> list[str]:
    """The names in a tree that need no prefix."""
    only = lone(found)
    return list(found[only[:-2]][0]) if only else []


def index(place: int, shape: Sequence[int]) -> tuple[int, ...]:
    """The index of an element from its place in row-major order. torch.unravel_index would load
    SymPy: 0.3 s.
    """
    found = []
    for size in reversed(shape):
        place, at = divmod(place, size)
        found.append(at)
    return tuple(reversed(found))


def _is_tensor(value: object) -> "TypeGuard[Tensor]":
    return hasattr(value, "ndim")


def _is_index(key: str, value: "list[Any] | Tensor") -> bool:
    size = len(value) if isinstance(value, list) or value.ndim else 0
    return key.isascii() and key.isdigit() and len(key) < 12 and int(key) < size


def _unknown(path: str, done: list[str], value: Any, option: str) -> UsageError:
    prefix = ".".join(done)
    if isinstance(value, dict):
        keys = [f"{prefix}.{key}" if prefix else key for key in value]
        hint = (
            did_you_mean(
                path,
                [
                    *(() if done else short(value)),
                    *(name for name, _ in leaves(value, prefix)),
                    *keys,
                ],
            )
            or f"the result has {', '.join(keys[:12])}"
        )
    elif isinstance(value, list) or (_is_tensor(value) and value.ndim):
        columns = (
            [f"{prefix}.{key}" for key in value[0]]
            if len(value) and isinstance(value[0], dict)
            else []
        )
        items = f"{prefix} has {len(value)} items: {prefix}.0 to {prefix}.{len(value) - 1}"
        of_all = f"; for all of them: {', '.join(columns)}" if columns else ""
        hint = items + of_all if len(value) else f"{prefix} is empty"
    else:
        hint = f"{prefix} is a single value"
    return UsageError(f"{option}: there is no {path!r} in the result", hint=hint)
