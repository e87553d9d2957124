"""What must hold of whatever the program says: each function looks at one kind of output, and
complains or says nothing.
"""

import json
import re
from contextlib import suppress
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any

import orjson

KINDS = ("usage", "literal", "expression", "shape", "file", "size", "math", "fault")
FAULT = "internal error in gradcli"
ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"
INTERNAL = re.compile(r"<locals>|<lambda>|object at 0x|<class '|one of \)")
"""What no message says: Python's names for what is ours, a choice of nothing."""
ESCAPES = re.compile(r"\x1b\[[0-9;]*m")


def of_error(text: str, given: str) -> str:
    """An error on stderr: `error:`, at most six more lines, all of them short; `given` is what the
    user gave.
    """
    lines = ESCAPES.sub("", text).split("\n")
    if FAULT in text:
        return f"fault: {lines[0][:200]}"
    if not lines[0].startswith("error: ") or len(lines[0]) < 10:
        return f"form: it begins with {lines[0][:80]!r}"
    if lines.pop():
        return "form: the last line has no end"
    if len(lines) > 7:
        return f"form: {len(lines)} lines"
    if any(not line.startswith("  ") for line in lines[1:]):
        return "form: a line below the first is not set in"
    if len(text) >= 3000:
        return "form: 3,000 characters or more"
    if ELLIPSIS in text and ELLIPSIS not in given:
        return "form: an ellipsis of one character"
    if INTERNAL.search(lines[0].rstrip()) and not INTERNAL.search(given):
        return f"words: {lines[0][:120]}"
    return ""


def of_notes(text: str) -> str:
    """What a call that succeeds says on stderr: notes, one a line."""
    bad = [line for line in text.splitlines() if not line.startswith("note: ")]
    return f"stderr: {bad[0][:120]!r} is no note" if bad else ""


def of_json(text: bytes) -> str:
    """The one line of `--json`."""
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        return f"json: {error}"
    if not isinstance(found, dict) or text.count(b"\n") != 1:
        return "json: not one object on one line"
    return ""


_CELLS = re.compile(r"(?<!\\)\|")
_ENVIRONMENT = re.compile(r"(?<!\\)\\(begin|end)\{(\w+\*?)\}")


def of_markdown(text: str) -> str:
    """Tables of Markdown: each row has as many cells as the one above it."""
    rows = [(line[:1], len(_CELLS.findall(line))) for line in text.split("\n")]
    torn = [b for (a, n), (b, m) in pairwise(rows) if a == b == "|" and n != m]
    return "markdown: rows of different lengths" if torn else ""


def of_latex(text: str) -> str:
    """LaTeX: braces and environments that are opened are closed."""
    bare = re.sub(r"\\[\\{}%]|(?m:%.*$)", "", text)
    depth = 0
    for char in bare:
        depth += (char == "{") - (char == "}")
        if depth < 0:
            return "latex: a brace that was not opened"
    opened: list[str] = []
    for what, name in _ENVIRONMENT.findall(text):
        if what == "begin":
            opened.append(name)
        elif not opened or opened.pop() != name:
            return f"latex: an end of {name} that was not begun"
    return "latex: something is not closed" if depth or opened else ""


def of_html(text: str) -> str:
    """A fragment of HTML: every element is closed, and no script is in it."""
    reader = _Elements()
    reader.feed(text)
    reader.close()
    return reader.complaint or (f"html: {reader.opened[-1]} is not closed" if reader.opened else "")


class _Elements(HTMLParser):
    """The elements that are open."""

    def __init__(self) -> None:
        super().__init__()
        self.opened: list[str] = []
        self.complaint = ""

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag == "script":
            self.complaint = "html: a script"
        if tag not in ("br", "hr", "img", "col"):
            self.opened.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.opened or self.opened.pop() != tag:
            self.complaint = self.complaint or f"html: {tag} was not opened"


FORMS = {"--markdown": of_markdown, "--latex": of_latex, "--html": of_html}


def of_line(answer: bytes, given: bytes) -> tuple[str, str]:
    """What a result line of a batch says of its job (`ok`, or the kind of its error), and a
    complaint.
    """
    try:
        found = orjson.loads(answer)
    except orjson.JSONDecodeError as error:
        if "infinity" not in str(error):
            return "broken", f"json: {error}: {answer[:120]!r}"
        found = json.loads(answer)  # an id may be an integer of any size
    if not isinstance(found, dict) or "id" not in found:
        return "broken", "line: no object with an id"
    if (complaint := of_identity(found["id"], given)) or "error" not in found:
        return "ok", complaint
    kind, message = found["error"].get("kind"), found["error"].get("message")
    if kind not in KINDS or not isinstance(message, str) or not message:
        return "broken", f"line: the error is {found['error']}"
    if FAULT in message:
        return kind, f"fault: {message[:200]}"
    if "\n" in message or len(message) >= 3000:
        return kind, "form: the message is no short line"
    if ELLIPSIS in message and ELLIPSIS.encode() not in given and b"\\u" not in given:
        return kind, "form: an ellipsis of one character"
    if INTERNAL.search(message) and not INTERNAL.search(given.decode(errors="replace")):
        return kind, f"words: {message[:120]}"
    return _death(kind, message), ""


def of_identity(identity: Any, given: bytes) -> str:
    """The id of a result line is that of its job, or null where the job cannot be read; where orjson
    refuses a number or a character, Python may read the id.
    """
    job = None
    with suppress(ValueError):
        job = orjson.loads(given)
    if job is None and identity is not None:
        with suppress(ValueError, RecursionError):
            job = json.loads(given)
    expected = job.get("id") if isinstance(job, dict) else None
    too_deep = identity is None and len(given) > 2 * 254  # brackets that orjson writes
    if identity == expected or too_deep:
        return ""
    return f"order: the id is {str(identity)[:40]}, not {str(expected)[:40]}"


def _death(kind: str, message: str) -> str:
    """The kind of an error, or which bound of the worker it ran into."""
    if message.startswith("PyTorch ended the process"):
        return "crash of PyTorch"
    if message.startswith("it ran for more"):
        return "too long"
    if message.startswith("the computation was killed"):
        return "killed"
    return kind
