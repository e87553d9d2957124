"""A backward pass in a file: lines `dNAME = ..`, each the gradient for an input or a named step."""

import os
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from gradcli.errors import UsageError
from gradcli.language.expressions.program import Expression
from gradcli.language.file_names import FromFile
from gradcli.language.source import Source, Span
from gradcli.language.suggest import did_you_mean
from gradcli.options.formula import GivenExpression

SUFFIX = ".py"
_PREFIXES = ("grad_", "d_", "d")
_PATH = re.compile(r"(?:^|;)[ \t]*(d\w*(?:\.\w+)+|grad_\w+(?:\.\w+)+)[ \t]*=(?!=)", re.MULTILINE)
"""The gradient for a parameter of a module, `dnet.0.weight = ..`, which is not a name in Python."""


@dataclass(frozen=True)
class Line:
    """One statement: its program and the number of its line. `gradients` are the d-names that it
    binds, as they are written, each with the name of the input or step that it is the gradient by.
    """

    program: Expression
    number: int
    gradients: dict[str, str]

    @property
    def span(self) -> Span:
        """The place of the statement."""
        text = self.program.source.text
        return self.program.source.span(len(text) - len(text.lstrip("\n")), len(text))

    @property
    def text(self) -> str:
        """The right side of `NAME = ..`, or any other statement, on one line."""
        return re.sub(r"^[\w.]+\s*=(?!=)\s*", "", " ".join(self.program.source.text.split()))


@dataclass(frozen=True)
class BackwardPass:
    """The file of a backward pass; `lines` are set once the names of the steps are known."""

    source: Source
    lines: tuple[Line, ...] = ()

    @property
    def unread(self) -> tuple[str, ...]:
        """The helpers that no line reads: perhaps gradients under a misspelt name."""
        read = {name for line in self.lines for name in line.program.names}
        bound = dict.fromkeys(
            name
            for line in self.lines
            for name in line.program.assigned
            if name not in map(bound_name, line.gradients)
        )
        return tuple(name for name in bound if name not in read)

    @cached_property
    def _given(self) -> GivenExpression:
        return GivenExpression(Source(self.source.text.strip(), self.source.label))

    @property
    def file(self) -> FromFile:
        """The file, for the checks of files."""
        file = self._given.outside
        assert isinstance(file, FromFile)
        return file

    def parsed(self, names: Sequence[str]) -> "BackwardPass":
        """The same with its lines read, over inputs and steps of these names.

        Raises FileError if the file cannot be read, ExpressionError for a line, UsageError if no
        line is a gradient.
        """
        # The grammar of expressions, which numbers do not need.
        from gradcli.language.expressions import expression
        from gradcli.language.expressions.reader import with_paths

        known, lines = dict.fromkeys(names), []
        loaded = self._given.load(lambda: "")
        paths = [path for path in _PATH.findall(loaded.text) if _gradient_of(path, names)]
        written = {bound_name(path): path for path in paths}
        code = loaded.text
        for name, path in written.items():
            code = re.sub(rf"(?<![\w.]){re.escape(path)}\b", name, code)
        label = os.path.basename(loaded.label)  # a path may hide the line
        source = Source(loaded.text, label, code if written else "")
        for statement in expression.statements(with_paths(source, names)):
            program = expression.parse(statement, tuple(known))
            known |= dict.fromkeys(program.assigned)
            number = len(statement.text) - len(statement.text.lstrip("\n")) + 1
            bound = (written.get(name, name) for name in program.assigned)
            gradients = {name: of for name in bound if (of := _gradient_of(name, names))}
            lines.append(Line(program, number, gradients))
        if not any(line.gradients for line in lines):
            wanted = [f"d{name}" for name in names]
            near = (did_you_mean(name, wanted) for name in known if name not in names)
            hint = next(filter(None, near), "") or f"write lines such as {wanted[0]} = .."
            message = "no line is the gradient for an input or a named step"
            raise UsageError(f"{self.source.text.strip()[1:]}: {message}", hint=hint)
        return replace(self, lines=tuple(lines))


def bound_name(name: str) -> str:
    """The name that a line binds in a program for one that may have dots."""
    return name.replace(".", "_")


def _gradient_of(name: str, names: Collection[str]) -> str:
    """The input or step that a d-name is the gradient by; empty for a helper. Of the parameters of a
    module, `names` hold the beginning, `net.`.
    """
    parts = (name.removeprefix(prefix) for prefix in _PREFIXES if name.startswith(prefix))
    modules = tuple(each for each in names if each.endswith("."))
    return next((part for part in parts if part in names or part.startswith(modules)), "")
