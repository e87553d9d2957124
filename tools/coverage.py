"""Which statements and branches of gradcli the tests run: a pytest plugin, `pytest -p tools.coverage`.

The program runs in thousands of forks, many of which are killed. Tools that trace each process and
let it write a file at its end make the suite several times slower and lose what a killed one did.
Here every module is compiled with marks: before each statement, and where a branch begins, a byte
is set in memory that all processes share. `python -m tools.coverage MODULE` runs a module with
marks in a fresh Python. A cold call and the server have none and are not counted.

A branch is one of the two ways on from an `if`, a `for` or a `while`, or one of the ways through a
`match`. The last lines of the report name the files with most left to run; `build/coverage.txt`
lists every line of every file.
"""

import ast
import mmap
import os
import runpy
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
REPORT = ROOT / "build" / "coverage.txt"
VARIABLE = "GRADCLI_MARKS"
"""The variable that names the file of the marks."""
MARKS = "__marks__"
"""The name of the marks in a marked module."""
RUN, TAKEN, PASSED = range(3)
"""Of a line: its statement ran; its condition held, or its loop or case was entered; it did not, or
the loop ended."""
FILES = sorted((ROOT / "gradcli").rglob("*.py"))


def offsets() -> Mapping[str, int]:
    """Where the marks of each file begin, and under "" how many there are: three for each line."""
    found, size = {}, 0
    for path in FILES:
        found[str(path)] = size
        size += 3 * (path.read_bytes().count(b"\n") + 2)
    return found | {"": size}


OFFSETS = offsets()


class Marked:
    """A module with its marks, from `offset` on; `places` are the line and the kind of each."""

    def __init__(self, source: str, offset: int) -> None:
        self.offset = offset
        self.places: list[tuple[int, int]] = []
        tree = ast.parse(source)
        tree.body = self.body(tree.body)
        self.tree = tree

    def mark(self, line: int, kind: int) -> ast.stmt:
        """The statement that sets a mark."""
        self.places.append((line, kind))
        place: dict[str, Any] = {
            "lineno": line,
            "col_offset": 0,
            "end_lineno": line,
            "end_col_offset": 0,
        }
        marks = ast.Name(MARKS, ast.Load(), **place)
        index = ast.Constant(self.offset + 3 * line + kind, **place)
        target = ast.Subscript(marks, index, ast.Store(), **place)
        return ast.Assign([target], ast.Constant(1, **place), **place)

    def body(self, statements: Sequence[ast.stmt]) -> list[ast.stmt]:
        """Statements, each with its mark and with those inside it."""
        return [each for statement in statements for each in self.marked(statement)]

    def marked(self, node: ast.stmt) -> Iterator[ast.stmt]:
        """One of them; what is not run, or must come first in a file, has no mark of its own."""
        constant = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        future = isinstance(node, ast.ImportFrom) and node.module == "__future__"
        if not constant and not future:
            yield self.mark(node.lineno, RUN)
        match node:
            case ast.If(test=ast.Name("TYPE_CHECKING")):
                pass
            case ast.While(test=ast.Constant()):
                node.body = self.body(node.body)
            case ast.If() | ast.For() | ast.AsyncFor() | ast.While():
                node.body = [self.mark(node.lineno, TAKEN), *self.body(node.body)]
                node.orelse = [self.mark(node.lineno, PASSED), *self.body(node.orelse)]
            case ast.Match():
                for case in node.cases:
                    case.body = [self.mark(case.pattern.lineno, TAKEN), *self.body(case.body)]
                if not any(is_certain(case) for case in node.cases):
                    mark = self.mark(node.lineno, PASSED)
                    other = ast.copy_location(ast.MatchAs(), mark)
                    node.cases.append(ast.match_case(other, body=[mark]))
            case _:
                for name in ("body", "orelse", "finalbody"):
                    if inside := getattr(node, name, None):
                        setattr(node, name, self.body(inside))
                for handler in getattr(node, "handlers", ()):
                    handler.body = self.body(handler.body)
        yield node


def marked(path: str) -> Marked:
    """A file of gradcli with its marks."""
    return Marked(Path(path).read_text(encoding="utf-8"), OFFSETS[path])


def is_certain(case: ast.match_case) -> bool:
    """Whether a case matches whatever it is given."""
    return case.guard is None and isinstance(case.pattern, ast.MatchAs) and not case.pattern.pattern


class Loader(SourceFileLoader):
    """Loads a module with marks; nothing of it is cached."""

    marks: mmap.mmap

    def get_code(self, fullname: str) -> CodeType:
        """The module's code, compiled with its marks."""
        path = self.get_filename(fullname)
        return compile(marked(path).tree, path, "exec", dont_inherit=True)

    def exec_module(self, module: ModuleType) -> None:
        """Give the module the marks, and run it."""
        vars(module)[MARKS] = self.marks
        super().exec_module(module)


class Finder(MetaPathFinder):
    """Has the modules of gradcli loaded with marks."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Where a module is, by Python's own search, with the loader that sets marks."""
        if fullname.partition(".")[0] != "gradcli":
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec and spec.origin and spec.origin in OFFSETS:
            spec.loader = Loader(fullname, spec.origin)
        return spec


def measure() -> mmap.mmap:
    """The marks, in a file that all processes share; gradcli is loaded with marks from here on."""
    assert "gradcli" not in sys.modules, "gradcli was imported before its coverage is measured"
    if VARIABLE not in os.environ:  # the first process
        handle, os.environ[VARIABLE] = tempfile.mkstemp()
        os.truncate(handle, OFFSETS[""])
        os.close(handle)
    with open(os.environ[VARIABLE], "r+b") as file:
        Loader.marks = mmap.mmap(file.fileno(), OFFSETS[""])
    sys.meta_path.insert(0, Finder())
    return Loader.marks


class Coverage:
    """The plugin, in every process of pytest."""

    def __init__(self) -> None:
        self.first = VARIABLE not in os.environ
        self.marks = measure()

    def pytest_terminal_summary(self, terminalreporter: "pytest.TerminalReporter") -> None:
        """Print the figures, and write what was not run into a file; the first process alone."""
        if not self.first:
            return
        REPORT.parent.mkdir(exist_ok=True)
        files = [Found(path, self.marks) for path in FILES]
        REPORT.write_text("".join(f"{file}\n" for file in files), encoding="utf-8")
        for line in summary(files):
            terminalreporter.write_line(line)
        os.unlink(os.environ.pop(VARIABLE))


class Found:
    """What was run of one file."""

    def __init__(self, path: Path, marks: mmap.mmap) -> None:
        self.name = str(path.relative_to(ROOT))
        module = marked(str(path))
        self.all = set(module.places)
        start = module.offset
        self.missed = {(n, kind) for n, kind in self.all if not marks[start + 3 * n + kind]}

    def __str__(self) -> str:
        """The file, its figures and the lines that were not run, or not both ways."""
        lines = {line for line, kind in self.missed if kind == RUN}
        words = ("", "never true", "never false")
        half = (f"{n} {words[kind]}" for n, kind in sorted(self.missed) if kind and n not in lines)
        missing = ", ".join([*map(str, sorted(lines)), *half])
        return f"{self.name}: {figures([self])}" + (f": {missing}" if missing else "")


def figures(files: Sequence[Found]) -> str:
    """The shares of statements and branches that were run."""
    parts = []
    for word, kinds in (("statements", {RUN}), ("branches", {TAKEN, PASSED})):
        count = sum(kind in kinds for file in files for _, kind in file.all)
        missed = sum(kind in kinds for file in files for _, kind in file.missed)
        if count:
            parts.append(f"{100 * (count - missed) / count:.1f} % of {count:,} {word}")
    return ", ".join(parts)


def summary(files: Sequence[Found], worst: int = 5) -> Iterator[str]:
    """The figures of the whole, and of the files with most left to run."""
    yield f"coverage: {figures(files)} ({REPORT.relative_to(ROOT)} lists what was not run)"
    for file in sorted(files, key=lambda file: -len(file.missed))[:worst]:
        yield f"  {file.name}: {figures([file])}"


def pytest_configure(config: pytest.Config) -> None:
    """Begin, before any test is imported."""
    config.pluginmanager.register(Coverage(), "gradcli-coverage")


if __name__ == "__main__":
    measure()
    runpy.run_module(sys.argv[1], run_name="__main__", alter_sys=True)
