"""Parts of a formula that occur twice, bound to names before it where that makes it shorter."""

import ast
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
    spans: dict[bytes, list[slice]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.BinOp | ast.Call | ast.Attribute | ast.Subscript):
            span = slice(node.col_offset, node.end_col_offset)
            if len(line[span]) >= _SHORTEST:
                spans.setdefault(line[span], []).append(span)
    best = None
    for part, places in spans.items():
        if len(places) < 2:
            continue
        changed = line
        for start, stop in sorted(((each.start, each.stop) for each in places), reverse=True):
            if _in_brackets(changed, start, stop):
                start, stop = start - 1, stop + 1
            changed = changed[:start] + name.encode() + changed[stop:]
        found = f"{head}; {name} = {part.decode()}; {changed.decode()}".removeprefix("; ")
        if len(found) <= _SAVED * len(text) and (best is None or len(found) < len(best)):
            best = found
    return best


def _in_brackets(line: bytes, start: int, stop: int) -> bool:
    """Whether a part stands in brackets of its own, which are not those of a call."""
    before = chr(line[start - 2]) if start > 1 else " "
    return (
        line[start - 1 : start] == b"("
        and line[stop : stop + 1] == b")"
        and not (before.isalnum() or before in "_])")
    )
