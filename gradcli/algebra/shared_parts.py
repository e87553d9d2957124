"""Parts of a formula that occur twice, bound to names before it where that makes it shorter."""

import ast
from collections import Counter
from collections.abc import Collection

_SHORTEST = 10
"""Characters of a part that is worth a name."""
_SAVED = 0.88
"""How short the text with a name must be, beside the text without."""
_NAMES = ("s", "r", "u", "v", "q", "c", "d", "k")


def with_parts_named(text: str, taken: Collection[str]) -> str:
    """The same formula, its repeated parts named where that is much shorter; `taken` are names in use."""
    names = [name for name in _NAMES if name not in taken and name not in _words(text)]
    for name in names[:3]:
        shorter = _with_one(text, name)
        if shorter is None:
            break
        text = shorter
    return text


def _words(text: str) -> set[str]:
    return {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}


def _with_one(text: str, name: str) -> str | None:
    """The text with its most repetitive part named; None if that saves too little."""
    head, _, last = text.rpartition("; ")
    tree, line = ast.parse(last, mode="eval"), last.encode()
    parts: Counter[str] = Counter()
    for node in ast.walk(tree):
        if isinstance(node, ast.BinOp | ast.Call | ast.Attribute | ast.Subscript):
            part = line[node.col_offset : node.end_col_offset].decode()
            if len(part) >= _SHORTEST:
                parts[part] += 1
    best = None
    for part, times in parts.items():
        if times < 2:
            continue
        whole = f"({part})" if f"({part})" in last and not part.endswith(")") else part
        changed = (
            last.replace(f"({part})", name) if whole != part and not _called(last, part) else last
        )
        changed = changed.replace(part, name)
        found = f"{head}; {name} = {part}; {changed}" if head else f"{name} = {part}; {changed}"
        if len(found) <= _SAVED * len(text) and (best is None or len(found) < len(best)):
            best = found
    return best


def _called(text: str, part: str) -> bool:
    """Whether the part in brackets is ever the arguments of a call."""
    at = text.find(f"({part})")
    while at >= 0:
        if at and (text[at - 1].isalnum() or text[at - 1] in "_])"):
            return True
        at = text.find(f"({part})", at + 1)
    return False
