r"""LaTeX that compiles with booktabs and amsmath alone: expressions as mathematics where they can be.

A table that is wider than a page is written in pieces below each other, as on a narrow terminal, and
one that is longer continues in a further tabular: longtable is another package.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from gradcli.catalogue.operators import SPACES
from gradcli.language.expressions.corrections import GREEK
from gradcli.show.document import (
    PLACE,
    Code,
    Formula,
    Heading,
    Listing,
    Part,
    Prose,
    Span,
    TextColumn,
    TextTable,
    groups,
    spans,
    titled,
)
from gradcli.show.mathematics import Mathematics, display, escaped

NEEDS = "% needs \\usepackage{amsmath,booktabs}\n"
WIDTH = 66
"""Characters side by side, at most: as many as fit into a line of an article at 10 points."""
GAP = 3
"""The width of the space between two columns, in characters."""
BROAD = 24
"""Characters of a column of texts that stand on one line, at most where there is no room for more."""
ROWS = 40
"""Lines of one tabular, at most."""
_NUMBER = re.compile(r"(-?)(inf|nan|\d+(?:\.\d+)?)(?:e([-+]?\d+))?")
_SLOPE = re.compile(r"d/d([^\W\d][\w.]*)")
"""The row of a gradient in a narrow ledger."""
_BREAKS = re.compile(r"(?<=[,;:=*/+@)\]_(])(?<!\de\+)(?=\w)|(?<=\D\.)(?=[^\W\d])")
"""Where a line of code may be broken: within no number."""
_BREAK = r"\allowbreak{}"
_PIECE = re.compile(rf".{{1,{BROAD}}}(?![\d.e]|(?<=\de)[-+])|.{{1,{BROAD}}}", re.DOTALL)
_LIGATURE = re.compile(r"(?<=[-'`!?])(?=[-'`])")
"""Where TeX would make one character of two: `--init` begins with no dash."""
_MINUS = re.compile(r"(?<![\w.)\]])-(?=\d)")
"""The sign of a number among words."""
_TYPED = {
    "{": r"\char123{}", "}": r"\char125{}", "\\": r"\char92{}", "_": r"\char95{}", "^": r"\char94{}", "~": r"\char126{}",
    "-": "-{}", "<": "<{}", ">": ">{}", "'": "'{}", '"': r"\char34{}", "`": r"\char96{}", "|": "|",
}  # fmt: skip
_SIGNS = {
    **{letter: rf"\ensuremath{{\{name}}}" for letter, name in GREEK.items() if name != "omicron"},
    "\u2212": "$-$", "\u00d7": r"$\times$", "\u00b7": r"$\cdot$", "\u2264": r"$\le$", "\u2265": r"$\ge$",
    "\u2260": r"$\ne$", "\u2192": r"$\to$", "\u2202": r"$\partial$", "\u2207": r"$\nabla$", "\u221e": r"$\infty$",
    "\u2026": r"\dots{}", "\u2018": "`", "\u2019": "'", "\u201c": "``", "\u201d": "''", "\u2013": "--", "\u2014": "---",
    "\u200c": "{}",
}  # fmt: skip


def write(parts: Sequence[Part], ranks: Mapping[str, int]) -> str:
    """The parts as LaTeX, ended by a line feed; `ranks` are the dimensions of the tensors."""
    writer = _Writer(ranks)
    return NEEDS + "\n".join("\n".join(writer.lines(part)) + "\n" for part in parts)


class _Measured(NamedTuple):
    """A column and its width in characters, about."""

    column: TextColumn
    width: int

    @property
    def least(self) -> int:
        """The width with texts in several lines."""
        return self.width if self.column.numeric else min(self.width, BROAD)


def _breadth_of(columns: Sequence[_Measured]) -> int:
    """The width of columns side by side."""
    return sum(each.least + GAP for each in columns) - GAP


class _Writer:
    """Writes parts whose expressions are about tensors of these ranks."""

    def __init__(self, ranks: Mapping[str, int]) -> None:
        self._ranks = ranks
        self._symbols = Mathematics(ranks)
        self._bases: dict[str, str] = {}

    def lines(self, part: Part) -> Iterator[str]:
        """The lines of a part."""
        match part:
            case Heading():
                title = self._spans(titled(part.text, part.formula))
                yield rf"{{\medskip\noindent\raggedright\textbf{{{title}}}\par\nobreak}}"
            case Prose():
                yield rf"{{\noindent\raggedright {plain(part.text)}\par}}"
            case Code():
                yield from _program(part.text)
            case Formula():
                yield display(part.latex).rstrip("\n")
            case Listing():
                yield r"\begin{itemize}\raggedright"
                yield from (rf"\item {code(name)}: {plain(text)}" for name, text in part.rows)
                yield r"\end{itemize}"
            case TextTable():
                yield from self._table(part)

    def _table(self, table: TextTable) -> Iterator[str]:
        yield r"\begin{flushleft}"
        if table.title:
            yield rf"\textbf{{{self._spans(titled(table.title, table.formula))}}}\par\nobreak\smallskip"
        measured = [*map(self._measured, table.columns)]
        if table.narrow and _breadth_of(measured) > WIDTH:
            table = table.narrow
            measured = [*map(self._measured, table.columns)]
        pieces = groups(measured, table.keys, table.ends, lambda piece: _breadth_of(piece) <= WIDTH)
        for piece in pieces if measured else ():
            yield from self._tabulars(replace(table, columns=[c for c, _ in piece]), [*piece])
        for remark in table.remarks:
            if isinstance(remark, Prose):
                yield rf"{{\footnotesize {plain(remark.text)}\par}}"
            else:
                yield from self.lines(remark)
        yield r"\end{flushleft}"

    def _measured(self, column: TextColumn) -> _Measured:
        cells = (self._cell(cell, column, WIDTH) for cell in column.cells)
        return _Measured(column, max(map(_breadth, (self._mixed(column.heading), *cells))))

    def _tabulars(self, table: TextTable, measured: Sequence[_Measured]) -> Iterator[str]:
        """The rows of a table that fits the width of a page, ROWS lines of them in each tabular."""
        columns, widths = table.columns, [width for _, width in measured]
        broad = [i for i, each in enumerate(measured) if each.least < each.width]
        room = WIDTH - _breadth_of([each for each in measured if each.least == each.width])
        for i in broad:
            widths[i] = max(BROAD, min(widths[i], room // len(broad) - GAP))
        kinds, heads = ["l"] * len(columns), [self._mixed(column.heading) for column in columns]
        for i, column in enumerate(columns):
            if column.numeric:
                kinds[i], heads[i] = "r", rf"\multicolumn{{1}}{{r}}{{{heads[i]}}}"
            elif i in broad:
                kinds[i] = rf"p{{{widths[i] / WIDTH:.2f}\linewidth}}"
        opening = (
            rf"\begin{{tabular}}{{@{{}}{''.join(kinds)}@{{}}}}",
            r"\toprule",
            f"{_guarded(' & '.join(heads))} \\\\",
            r"\midrule",
        )
        end = r"\tabularnewline" if broad else r"\\"  # \raggedright has its own \\
        closing = r"\bottomrule", r"\end{tabular}\par\smallskip"
        yield from opening
        taken = 0
        for rows, lined in table.blocks:
            for number, row in enumerate(rows):
                cells = [*map(self._cell, row, columns, widths)]
                heights = [-(-_breadth(cells[i]) // widths[i]) for i in broad]
                height = max(1, *heights, 2 * any("cases" in cell for cell in cells))
                if taken and taken + height > ROWS:
                    yield from (*closing, *opening)
                    taken = 0
                elif lined and not number:
                    yield r"\midrule"
                taken += height
                for i in broad:
                    cells[i] = rf"\raggedright {cells[i]}"
                yield f"{_guarded(' & '.join(cells))} {end}"
        yield from closing

    def _cell(self, text: str, column: TextColumn, width: int) -> str:
        """One cell; a number stands so that its point is below the others."""
        shown = text.strip()
        if not column.numeric:
            return self._spans(spans(shown, self._ranks), width) if column.code else plain(shown)
        gap = len(text) - len(text.rstrip()) if shown and not column.scientific else 0
        point = "" if "." in shown else "."
        filler = rf"\phantom{{{point}{'0' * (gap - len(point))}}}$" if gap else ""
        number = _number(shown)
        return number.removesuffix("$") + filler if gap else number

    def _mixed(self, text: str) -> str:
        return self._spans(spans(text, ()))

    def _spans(self, found: Iterable[Span], width: int = WIDTH) -> str:
        return "".join(
            self._formula(span.text, width) if span.code else plain(span.text) for span in found
        )

    def _indexed(self, name: str) -> str:
        """A tensor's symbol, ready for an index."""
        if name not in self._bases:
            symbol = self._symbols.symbol(name)
            self._bases[name] = f"{{{symbol}}}" if "_" in symbol else symbol
        return self._bases[name]

    def _formula(self, text: str, width: int) -> str:
        """An expression in a line: mathematics, or code if it is wide or more than one statement."""
        if found := PLACE.fullmatch(text):
            return f"${self._indexed(found[1])}_{{{found[2].replace(',', ', ')}}}$"
        if slope := _SLOPE.fullmatch(text):
            return rf"$\mathrm{{d}}/\mathrm{{d}}{self._symbols.symbol(slope[1])}$"
        typed = code(text)
        if ";" in text or text.rpartition(".")[0] in SPACES:  # statements, or a function's own name
            return typed
        try:
            written = f"${self._symbols.equation('', text)}$"
        except SyntaxError:
            return typed
        return written if _breadth(written) <= width else typed


_VISIBLE = re.compile(
    r"\\[{}$&%_]|\\(?!allowbreak|left|right|math|boldsymbol|operatorname|text|phantom|char)[A-Za-z]+ ?"
)
"""Signs and symbols, one character each."""
_SILENT = re.compile(r"\\[A-Za-z]+\d*|\\.|[{}$^_]")
"""What takes no room."""


_CASES = re.compile(r"\\begin\{cases\}((?:(?!\\begin\{cases\}).)*?)\\end\{cases\}")


def _breadth(text: str) -> int:
    """The width of LaTeX in characters, about; of cases, which are below each other, the widest."""
    while _CASES.search(text):
        text = _CASES.sub(lambda found: "x" + max(found[1].split(r"\\"), key=_breadth), text)
    return len(_SILENT.sub("", _VISIBLE.sub("x", text.replace(r"\#", "xx"))))


def _guarded(row: str) -> str:
    r"""A row whose beginning cannot be read as an argument of the `\\` or the line before it."""
    return f"{{}}{row}" if row[:1] in ("[", "*", "(") else row


def _number(text: str) -> str:
    """A number as mathematics, with a real minus and a power of ten; else plain text."""
    found = _NUMBER.fullmatch(text)
    if found is None:
        return plain(text)
    sign, digits, exponent = found.groups()
    digits = {"inf": r"\infty", "nan": r"\text{nan}"}.get(digits, digits)
    return f"${sign}{digits}" + (rf" \cdot 10^{{{int(exponent)}}}$" if exponent else "$")


def plain(text: str) -> str:
    """Words, whatever their characters; a number by itself is mathematics."""
    if _NUMBER.fullmatch(text) and text not in ("inf", "nan"):
        return _number(text)
    words = _LIGATURE.sub("\u200c", _MINUS.sub("\u2212", text.replace("->", "\u2192"))).split(" ")
    return " ".join(
        "".join(map(_letter, word)) if len(word) < BROAD else _broken(word) for word in words
    )


def _broken(word: str) -> str:
    """A long word, which can be broken after an operator."""
    return _BREAK.join("".join(map(_letter, piece)) for piece in _pieces(word))


def _pieces(text: str) -> Iterator[str]:
    """What must stay together of a text, at most BROAD characters each."""
    for piece in _BREAKS.split(text):
        yield from _PIECE.findall(piece)


def _letter(char: str) -> str:
    """One character; one that pdflatex does not know, by its number."""
    if char.isascii():
        return escaped(char)
    return _SIGNS.get(char) or (char if char < "\u0180" else f"[U+{ord(char):04X}]")


def code(text: str) -> str:
    """An expression as it is typed, which can be broken after an operator."""
    return rf"\texttt{{{_BREAK.join(map(_typed, _pieces(text)))}}}"


def _typed(text: str) -> str:
    """Characters of a program, none of them part of a ligature."""
    return "".join(_TYPED.get(char) or _letter(char) for char in text)


def _program(text: str) -> Iterator[str]:
    """Lines of a program, each as it is typed."""
    lines = []
    for line in text.rstrip("\n").split("\n"):
        bare = line.lstrip(" ")
        lines.append(
            "~" * (len(line) - len(bare)) + code(bare).replace("  ", "~ ") if bare else "~"
        )
    yield r"\begin{flushleft}\ttfamily"
    yield "\\\\\n".join(lines)
    yield r"\end{flushleft}"
