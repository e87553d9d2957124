"""Which tests run which line of the program, also in the processes that it forks: marks in memory
that all of them share.
"""

import ast
import contextlib
import importlib
import mmap
import os
import pickle
import resource
import signal
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from types import CodeType, FunctionType

import pytest

from tools.mutants import live_functions

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
MARKS = "__marks__"
"""What the marks are called in a marked module: nothing else may be."""
NOWHERE = os.open(os.devnull, os.O_RDWR)
MEMORY = 24 << 30


class Noticed:
    """A plugin that hands the collected tests to `work` instead of running them, and sees whether
    one failed.
    """

    def __init__(self, work: "Callable[[Noticed, list[pytest.Item]], None]") -> None:
        self.work = work
        self.failed = False

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self.work(self, session.items)
        return True

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.failed |= report.failed

    def passes(self, item: pytest.Item) -> bool:
        self.failed = False
        item.ihook.pytest_runtest_protocol(item=item, nextitem=None)
        return not self.failed


@dataclass
class Covered:
    """What one run of all tests tells: who ran a line, and how long each took."""

    seconds: dict[str, float] = field(default_factory=dict)
    lines: dict[tuple[str, int], list[str]] = field(default_factory=lambda: defaultdict(list))
    failing: list[str] = field(default_factory=list)

    def add(self, more: "Covered") -> None:
        self.seconds |= more.seconds
        self.failing = more.failing
        for line, tests in more.lines.items():
            self.lines[line] += tests


def collect(work: Callable[[Noticed, list[pytest.Item]], None], tests: Sequence[str]) -> None:
    """Have pytest collect the tests, and `work` with them; their calls are forks of this process."""
    from tests import program  # which loads gradcli: a module may have got its fault before that

    program.CALLS_HERE = True
    without = [
        f"-pno:{plugin}" for plugin in ("terminal", "cacheprovider", "xdist", "faulthandler")
    ]
    options = [*without, "--assert=plain", "--capture=no", "--override-ini=addopts=", "--timeout=0"]
    if status := pytest.main([*options, *tests], plugins=[Noticed(work)]):
        raise SystemExit(f"collecting the tests ended with {status!r}")


def forked(work: Callable[[], object], limit: float) -> tuple[object, bool]:
    """What `work` returns in a fork that writes nowhere, and whether it came to its end within
    `limit` seconds.
    """
    with tempfile.TemporaryFile() as answer:
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                os.setpgid(0, 0)
                for fd in (1, 2):
                    os.dup2(NOWHERE, fd)
                for bound, most in (
                    (resource.RLIMIT_CPU, int(limit) + 5),
                    (resource.RLIMIT_AS, MEMORY),
                ):
                    resource.setrlimit(bound, (most, most))  # for all that the program forks, too
                signal.setitimer(signal.ITIMER_REAL, limit)
                answer.write(pickle.dumps(work()))
                answer.flush()
                status = 0
            finally:
                os._exit(status)
        _, status = os.waitpid(pid, 0)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)  # what the tests have left behind
        answer.seek(0)
        return (pickle.load(answer), True) if status == 0 else (None, False)


def source_of(module: str) -> str:
    """The text of a module."""
    with open(os.path.join(ROOT, *module.split(".")) + ".py", encoding="utf-8") as file:
        return file.read()


def path_of(module: str) -> str:
    """Its file, as Python names it in code objects."""
    spec = importlib.util.find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    return spec.origin


def codes(code: CodeType) -> Iterator[CodeType]:
    """A code object and all that are inside, in the order of the text."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from codes(constant)


def is_same(one: CodeType, other: CodeType) -> bool:
    """Whether two code objects do the same at the same place."""
    return one == other and list(one.co_positions()) == list(other.co_positions())


class Program:
    """The functions of the loaded program, by file."""

    def __init__(self, modules: Sequence[str]) -> None:
        for module in modules:
            importlib.import_module(module)
        self.functions: dict[str, list[FunctionType]] = defaultdict(list)
        for each in live_functions():
            if each.__code__.co_filename.startswith(ROOT):
                self.functions[each.__code__.co_filename].append(each)

    def exchange(self, module: str, tree: ast.Module) -> int:
        """Give the functions of a module the code that they have in `tree`; how many were changed,
        -1 where that cannot be.
        """
        path = path_of(module)
        old = list(codes(compile(source_of(module), path, "exec")))
        new = list(codes(compile(tree, path, "exec")))
        if len(old) != len(new):
            return -1
        changed = 0
        for before, after in zip(old, new, strict=True):
            if is_same(before, after):
                continue
            for function in self.functions[path]:
                if is_same(function.__code__, before):
                    if len(after.co_freevars) != len(before.co_freevars):
                        return -1
                    function.__code__ = after
                    changed += before != after
        return changed


class _Marked(ast.NodeTransformer):
    """Puts a mark before every statement inside functions, and into lambdas outside them."""

    def __init__(self, offset: int) -> None:
        self.offset = offset
        self.inside = False

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        outer, self.inside = self.inside, True
        self.generic_visit(node)
        self.inside = outer
        return node

    def visit_Lambda(self, node: ast.Lambda) -> ast.AST:
        if not self.inside:
            mark = ast.parse(
                f"({MARKS}.__setitem__({self.offset + node.lineno}, 1), 0)[1]", mode="eval"
            ).body
            assert isinstance(mark, ast.Subscript)
            assert isinstance(mark.value, ast.Tuple)
            mark.value.elts[1] = node.body
            node.body = mark
        return node

    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        if self.inside:
            for name, value in ast.iter_fields(node):
                if isinstance(value, list) and value and isinstance(value[0], ast.stmt):
                    setattr(
                        node, name, [each for child in value for each in self._with_mark(child)]
                    )
        return node

    def _with_mark(self, node: ast.stmt) -> list[ast.stmt]:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            return [node]
        return [ast.parse(f"{MARKS}[{self.offset + node.lineno}] = 1").body[0], node]


def covered(
    program: Program, modules: Sequence[str], noticed: Noticed, items: Sequence[pytest.Item]
) -> Covered:
    """Run every test once, with marks in memory that all forks share."""
    width = 1 << 10
    marks = mmap.mmap(-1, width * len(modules))
    blank = bytes(len(marks))
    for index, module in enumerate(modules):
        tree = ast.fix_missing_locations(_Marked(width * index).visit(ast.parse(source_of(module))))
        vars(sys.modules[module])[MARKS] = marks
        for function in program.functions[path_of(module)]:
            assert function.__code__.co_firstlineno < width
        assert program.exchange(module, tree) >= 0
    found = Covered()
    for item in items:
        marks[:] = blank
        start = time.monotonic()
        if not noticed.passes(item):
            found.failing.append(item.nodeid)
            continue
        found.seconds[item.nodeid] = time.monotonic() - start
        for place, mark in enumerate(marks[:]):
            if mark:
                found.lines[modules[place // width], place % width].append(item.nodeid)
    return found
