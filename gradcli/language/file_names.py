"""Files as inputs (`@data.npz:weights`): their names, and what is checked without PyTorch."""

import os
import re
import shlex
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field

from gradcli.errors import FileError, LiteralError, quoted, system_reason
from gradcli.language.source import Source, Span
from gradcli.language.suggest import did_you_mean

SUFFIXES: Mapping[str, bool] = {
    ".npy": False, ".npz": True, ".csv": False, ".tsv": False, ".txt": False, ".json": False, ".pt": True, ".safetensors": True,
}  # fmt: skip
"""The suffixes that are read, and whether such a file holds several arrays, each with a `:key`."""

_KEYED = re.compile(rf"(?s)(.+?({'|'.join(map(re.escape, SUFFIXES))})):(.*)", re.IGNORECASE)


@dataclass(frozen=True)
class FromFile:
    """The array `key` (empty: its only one) of the file at `path`, in the format of `suffix`."""

    path: str
    suffix: str
    key: str
    source: Source = field(compare=False)

    @property
    def span(self) -> Span:
        """The literal that names the file."""
        return self.source.whole


def is_named(text: str) -> bool:
    """Whether `text` ends like a file that can be read, such as `~/data.npz:weights`."""
    keyed = _KEYED.fullmatch(text)
    return os.path.splitext(keyed[1] if keyed else text)[1].lower() in SUFFIXES


def parse_path(source: Source) -> FromFile:
    """The file of a literal such as `@data.npz:weights`; `check_file` checks that it can be read.

    Raises LiteralError if there is no path, no known suffix, or a key that does not fit.
    """
    text = source.text.strip()[1:]
    start = source.text.index("@") + 1
    place = source.span(start, start + len(text))
    if not text:
        hint = "write @data.npy, or - for standard input"
        raise LiteralError("the path after @ is missing", span=place, hint=hint)
    keyed = _KEYED.fullmatch(text)
    path, suffix, key = keyed.groups() if keyed else (text, os.path.splitext(text)[1], "")
    suffix = suffix.lower()
    if suffix not in SUFFIXES:
        message = "this type of file is not supported" if suffix else "the file has no suffix"
        hint = f"the suffix tells how to read a file: {' '.join(SUFFIXES)}"
        if path.startswith("/dev/"):  # such as what the shell writes for <(...)
            message, hint = "a file under /dev has no suffix", "pipe it in: - is standard input"
    elif keyed and not SUFFIXES[suffix]:
        message = f"a {suffix} file holds one array and has no keys"
        hint = "leave out the colon and what follows"
    elif keyed and not key:
        message = "the key after the colon is missing"
        hint = "write the array's name after it, or leave out the colon"
    else:
        return FromFile(os.path.expanduser(path), suffix, key, source)
    raise LiteralError(message, span=place, hint=hint)


def check_file(literal: FromFile) -> None:
    """Raise FileError unless the file can be read; it is not opened, because a pipe would hang."""
    try:
        status = os.stat(literal.path)
    except (FileNotFoundError, NotADirectoryError):
        where = f": {literal.path}" if literal.source.text.strip()[1:].startswith("~") else ""
        message, hint = f"there is no such file{where}", _nearest(literal)
    except OSError as error:
        message, hint = f"the file cannot be reached: {system_reason(error)}", "check the path"
    except ValueError:  # a NUL or a lone surrogate, which no path of the system can hold
        message, hint = "invalid file name", "check the path"
    else:
        if stat.S_ISDIR(status.st_mode):
            message, hint = "this is a directory", "name a file in it"
        elif not stat.S_ISREG(status.st_mode):
            message, hint = "this is not a regular file", "pipe it in: - is standard input"
        elif not os.access(literal.path, os.R_OK):
            message, hint = "no permission to read this file", "check its permissions: ls -l"
        elif status.st_size == 0:
            message, hint = "the file is empty", "check the program that wrote it"
        else:
            return
    raise FileError(message, span=literal.span, hint=hint)


def advice(path: str) -> str:
    """The hint for a path that begins with ~ or -, which may mean something else; else empty."""
    if path.startswith("~"):
        if (expanded := os.path.expanduser(path)) == path:
            return f"there is no user {quoted(path[1:].partition('/')[0])}: write the full path"
        return f"the shell does not expand ~ in quotes or after =; write {shlex.quote(expanded)}"
    if path.startswith("-"):
        return "only - alone means standard input; a name that begins with - is a file"
    return ""


def _nearest(literal: FromFile) -> str:
    """The hint for a missing file: `advice`, files with similar names of a type that would be read
    in its place, or neither.
    """
    if hint := advice(literal.path):
        return hint
    folder, name = os.path.split(literal.path)
    try:
        entries = os.listdir(folder or ".")
    except OSError:
        return "check the path: its folder cannot be read either"
    alike = (*SUFFIXES,) if literal.suffix in SUFFIXES else literal.suffix
    names = [n for n in entries if n.lower().endswith(alike) and n.isascii() and n.isprintable()]
    return did_you_mean(name, names) or "check the path"
