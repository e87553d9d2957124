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


@dataclass(frozen=True)
class Line:
    """One statement: its program and the number of its line. `gradients` are the d-names that it
    binds, each with the name of the input or step that it is the gradient by.
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
        return re.sub(r"^\w+\s*=(?!=)\s*", "", " ".join(self.program.source.text.split()))


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
            if name not in line.gradients
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

        known, lines = dict.fromkeys(names), []
        loaded = self._given.load(lambda: "")
        source = Source(loaded.text, os.path.basename(loaded.label))  # a path may hide the line
        for statement in expression.statements(source):
            program = expression.parse(statement, tuple(known))
            known |= dict.fromkeys(program.assigned)
            number = len(statement.text) - len(statement.text.lstrip("\n")) + 1
            gradients = {name: of for name in program.assigned if (of := _gradient_of(name, names))}
            lines.append(Line(program, number, gradients))
        if not any(line.gradients for line in lines):
            bound = [name for name in known if name not in names]
            wanted = [f"d{name}" for name in names]
            near = (did_you_mean(name, wanted) for name in bound)
            hint = next(filter(None, near), "") or f"write lines such as {wanted[0]} = .."
            message = "no line is the gradient for an input or a named step"
            raise UsageError(f"{self.source.text.strip()[1:]}: {message}", hint=hint)
        return replace(self, lines=tuple(lines))


def _gradient_of(name: str, names: Collection[str]) -> str:
    """The input or step that a d-name is the gradient by; empty for a helper."""
    parts = (name.removeprefix(prefix) for prefix in _PREFIXES if name.startswith(prefix))
    return next((part for part in parts if part in names), "")
