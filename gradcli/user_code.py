"""The user's own Python files: read, run as modules, and their errors as errors with a place."""

import ast
import os
import sys
import traceback
from importlib.machinery import ModuleSpec
from importlib.util import decode_source
from types import ModuleType

from gradcli.errors import CodeError, FileError, GradcliError, system_reason
from gradcli.language.source import Source, Span


def read(path: str) -> Source:
    """The text of a Python file, labelled with its path. Raises FileError if it cannot be read."""
    try:
        with open(path, "rb") as file:
            return Source(decode_source(file.read()), path)
    except OSError as error:
        message = f"{path} cannot be read: {system_reason(error)}"
        raise FileError(message, hint="check the path") from None
    except (SyntaxError, UnicodeDecodeError) as error:
        message = f"{path} is not Python text: {error}"
        raise FileError(message, hint="save it as UTF-8") from None


def parsed(source: Source) -> ast.Module:
    """The syntax tree of a file. Raises CodeError where its syntax is wrong."""
    try:
        return ast.parse(source.text, source.label)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise failure(error, source) from None


def run(source: Source) -> ModuleType:
    """The module that a file makes, run as an import would run it: its folder comes first in
    sys.path, and its name is that of the file. Raises whatever the file raises.
    """
    path = os.path.abspath(source.label)
    folder, file = os.path.split(path)
    name = file.removesuffix(".py")
    if name in sys.modules or name in sys.stdlib_module_names:
        name = f"{name}_"  # PyTorch may be about to import the other one
    sys.path.insert(0, folder)
    sys.argv[:] = [source.label]
    module = ModuleType(name)
    module.__file__, module.__spec__ = path, ModuleSpec(name, None, origin=path)
    sys.modules[name] = module
    exec(compile(source.text, source.label, "exec"), vars(module))
    return module


def place(source: Source, line: int) -> Span:
    """The text of a line, counted from 1, without the blanks around it."""
    lines = source.text.split("\n")
    text = lines[line - 1] if 0 < line <= len(lines) else ""
    start = sum(len(each) + 1 for each in lines[: line - 1]) + len(text) - len(text.lstrip())
    return source.span(start, start + len(text.strip()))


def line_of(error: BaseException, path: str) -> int:
    """The line of the file `path` that was running when `error` was raised, the innermost one; 0 if
    none was.
    """
    if isinstance(error, SyntaxError) and error.filename == path:
        return error.lineno or 0
    frames = traceback.walk_tb(error.__traceback__)
    lines = [line for frame, line in frames if frame.f_code.co_filename == path]
    return lines[-1] if lines else 0


def failure(error: BaseException, source: Source, line: int = 0) -> CodeError:
    """The error to show for `error`, which the code of `source` raised, with the line if there is
    one; else with `line`, whose operation autograd could not differentiate. What PyTorch refused in
    one of gradcli's own calls counts as raised by the code.
    """
    if isinstance(error, GradcliError) and error.__context__ is not None:
        error = error.__context__
    text = " ".join(str(error).split()).partition(" (Triggered internally")[0]
    if isinstance(error, SyntaxError):
        text = error.msg
    if line:
        text = text.partition(" Hint: ")[0]  # to do what gave the line
    name = type(error).__name__
    message = f"{name}: {text}" if text else name
    line = line_of(error, source.label) or line
    if not line:
        return CodeError(f"{source.label}: {message}")
    span = place(source, line)
    if "line" not in span.label.removeprefix(source.label):
        message = f"line {line}: {message}"
    if isinstance(error, SyntaxError) and error.offset and error.filename == source.label:
        start = source.text.rfind("\n", 0, span.start) + error.offset  # the offset counts from 1
        span = source.span(min(start, len(source.text)))
    return CodeError(message, span=span, hint=_hint(text))


def _hint(text: str) -> str:
    if "indices must be" in text or "must be of integer" in text or "used as indices" in text:
        return "numbers are floats here; indices are written NAME='tensor([0, 2])'"
    return ""
