"""Parts of a formula that occur twice, bound to names before it where that makes it shorter."""

import ast
import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping

_SHORTEST = 10
"""Characters of a part that is worth a name."""
_SAVED = 0.88
"""How short the text with a name must be, beside the text without."""
_NAMES = ("s", "r", "u", "v", "q", "c", "d", "k")
_MOST = 3


def with_parts_named(text: str, taken: Collection[str], own: Mapping[str, str]) -> str:
    """The same formula, its repeated parts named where that is much shorter; `taken` are names in use,
    and `own` those that the user gave to parts.
    """
    words = set(re.findall(r"\w+", text))
    for name in [name for name in _NAMES if name not in words.union(taken)][:_MOST]:
        head, separator, last = text.rpartition("; ")
        shorter = {part: f"{head}{separator}{each}" for part, each in _with_one(last, name)}
        part = min(shorter, key=lambda it: len(shorter[it]), default="")
        if not part or len(shorter[part]) > _SAVED * len(text):
            break
        known = own.get(part, name)
        chosen = dict(_with_one(last, name if known in words else known))
        text = f"{head}{separator}{chosen[part]}"
    return text


def _with_one(text: str, name: str) -> Iterator[tuple[str, str]]:
    """Each repeated part of the expression, and the expression with that part bound to the name."""
    places = defaultdict(list)
    for node in ast.walk(ast.parse(text, mode="eval")):
        if isinstance(node, ast.BinOp | ast.Call | ast.Attribute | ast.Subscript):
            start, end = node.col_offset, node.end_col_offset or 0
            if end - start >= _SHORTEST and text[end : end + 1] != "(":  # `x.sum` is not a value
                places[text[start:end]].append((start, end))
    for part, spans in places.items():
        changed = text
        for start, end in sorted(spans, reverse=True):
            before, after = changed[:start], changed[end:]
            if re.search(r"(^|[^\w\])])\($", before) and after[:1] == ")":
                before, after = before[:-1], after[1:]  # brackets around the part alone
            changed = f"{before}{name}{after}"
        if len(spans) > 1:
            yield part, f"{name} = {part}; {changed}"
