"""Paths of the numbers in a result: one walk, shared by JSON, `--get`, `--out` and `--expect`."""

from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, TypeGuard

from gradcli.errors import UsageError
from gradcli.language.suggest import did_you_mean

if TYPE_CHECKING:  # a result without tensors is walked without loading PyTorch
    from torch import Tensor


def tree(value: Any) -> Any:
    """A result as nested dicts and lists by JSON key, down to tensors, numbers, text and None."""
    if _is_tensor(value):
        return value
    if isinstance(value, dict):
        return {name: tree(item) for name, item in value.items()}
    if isinstance(value, list):
        return [tree(item) for item in value]
    return {name: tree(item) for name, item in shown(value).items()} or value


def shown(value: Any) -> dict[str, Any]:
    """The fields of a result, or of a part of one, that are JSON keys; none for any other value."""
    kind: type = type(value)
    names = _shown(kind)
    held = vars(value) if names else {}
    return {name: held[name] for name, absent in names if held[name] is not absent}


@cache
def _shown(kind: type) -> tuple[tuple[str, Any], ...]:
    """The fields of a result type that are JSON keys, and the value with which each is left out."""
    keys = (f for f in (fields(kind) if is_dataclass(kind) else ()) if not f.metadata.get("aside"))
    return tuple((f.name, f.default if f.metadata.get("omitted") else _shown) for f in keys)


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every leaf of a tree with its path, such as `gradients.w` or `functions.0.value`."""
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in items:
            yield from leaves(item, f"{path}.{key}" if path else str(key))
    else:
        yield path, value


def lone(tree: dict[str, Any]) -> str:
    """The path of the only function, loss or curve, which may be left out: `functions.0`."""
    several = ("functions", "losses", "curves")
    return next((f"{name}.0" for name in several if len(tree.get(name, ())) == 1), "")


def whole(tree: dict[str, Any], path: str) -> str:
    """A path with the prefix that may be left out: `value` can mean `functions.0.value`."""
    first = path.partition(".")[0]
    return f"{lone(tree)}.{path}" if first not in tree and first in short(tree) else path


def find(result: object, path: str, option: str = "--get") -> Any:
    """The value at `path`: a subtree, a leaf, part of a tensor, or a column of a list of rows.

    Raises UsageError about `option` with the nearest paths if there is nothing at `path`.
    """
    value = root = tree(result)
    prefix: list[str] = []
    for key in keys(value, whole(value, path)):
        if isinstance(value, dict) and key in value:
            value = value[key]
        elif (isinstance(value, list) or _is_tensor(value)) and _is_index(key, value):
            value = value[int(key)]
        elif _is_column(key, value):
            value = [item[key] for item in value]
        else:
            raise _unknown(path, prefix, value, option, root)
        prefix.append(key)
    return stacked(value) if isinstance(value, list) else value


def keys(tree: Any, path: str) -> list[str]:
    """The keys of a path one by one; a name in a tree may itself have dots, such as `net.0.weight`."""
    found: list[str] = []
    while isinstance(tree, dict):
        known = (key for key in tree if path == key or path.startswith(f"{key}."))
        key = max(known, key=len, default=path.partition(".")[0])
        found.append(key)
        if path == key:
            return found
        path, tree = path[len(key) + 1 :], tree.get(key)
    return found + path.split(".")


def stacked(column: list[Any]) -> Any:
    """One tensor if all items are tensors of one shape; otherwise the list unchanged."""
    shapes = {item.shape if _is_tensor(item) else None for item in column}
    if len(shapes) != 1 or None in shapes:
        return column
    import torch  # loaded already: these are tensors

    return torch.stack(column)


def short(tree: dict[str, Any]) -> list[str]:
    """The names in a tree that need no prefix."""
    only = lone(tree)
    return list(tree[only[:-2]][0]) if only else []


def index(place: int, shape: Sequence[int]) -> tuple[int, ...]:
    """The index of an element by its row-major place. torch.unravel_index loads SymPy: 0.3 s."""
    indices = []
    for size in reversed(shape):
        place, index = divmod(place, size)
        indices.append(index)
    return tuple(reversed(indices))


def _is_tensor(value: object) -> "TypeGuard[Tensor]":
    return hasattr(value, "ndim")


def _is_index(key: str, value: "list[Any] | Tensor") -> bool:
    size = len(value) if isinstance(value, list) or value.ndim else 0
    return key.isascii() and key.isdigit() and len(key) < 12 and int(key) < size


def _is_column(key: str, value: Any) -> bool:
    rows = value if isinstance(value, list) else []
    return bool(rows) and all(isinstance(row, dict) and key in row for row in rows)


def _unknown(path: str, keys: list[str], value: Any, option: str, root: Any) -> UsageError:
    prefix, rest = ".".join(keys), path.partition(".")[2]
    ends = [end for end in (path, rest) if "." in end]  # of a name, --expect adds the first key
    same = [name for name, _ in leaves(root) if name.partition(".")[2] in ends]
    if same:
        hint = f"did you mean {' or '.join(same)}?"
    elif isinstance(value, dict):
        paths = [f"{prefix}.{key}" if prefix else key for key in value]
        below = (name for name, _ in leaves(value, prefix))
        known = [*(() if keys else short(value)), *below, *paths]
        hint = did_you_mean(path, known) or f"the result has {', '.join(paths[:12])}"
    elif isinstance(value, list) or (_is_tensor(value) and value.ndim):
        row = value[0] if len(value) and isinstance(value[0], dict) else {}
        columns = [f"{prefix}.{key}" for key in row]
        items = f"{prefix} has {len(value)} items: {prefix}.0 to {prefix}.{len(value) - 1}"
        of_all = f"; for all of them: {', '.join(columns)}" if columns else ""
        hint = items + of_all if len(value) else f"{prefix} is empty"
    else:
        hint = f"{prefix} is a single value"
    return UsageError(f"{option}: there is no {path!r} in the result", hint=hint)
