"""The page of `derive`: a formula for each input, or the backward pass, and how they were verified.

Also the same as display mathematics for LaTeX.
"""

import ast
import re
from collections.abc import Iterator

from gradcli.commands.derive.result import DeriveResult
from gradcli.page import Page
from gradcli.show import numbers
from gradcli.show.document import Formula, Heading, Part, Prose
from gradcli.show.mathematics import Mathematics, display
from gradcli.show.pictures.plotter import Window
from gradcli.show.terminal import Style, prose

_WHERE = "where "
_BLANK = "\u00a0"
"""A blank at which a remark is not wrapped."""
_PLACES = re.compile(
    r"""(?P<string>"[^"]*"|'[^']*')|(?P<open>[(\[{])|(?P<close>[)\]}])"""
    r"""|(?P<sum> (?=(?:[-+<>&|^]|[=!]=|if|else)\S* ))|(?P<product> (?=(?:@|%|//) ))|(?P<comma>(?<=,) )"""
    r"""|(?P<tight>(?<=\))(?=[*/](?!\*)))"""
)
_DEPTH = {"open": 1, "close": -1}
_PLACE = {"sum": 0, "product": 1, "comma": 2, "tight": 3}
"""Where a formula may be broken, best first: before a sign with blanks around it, after a comma,
between brackets."""


def page(result: DeriveResult, style: Style, window: Window) -> str:
    """The page as text. A step of the backward pass is one line, to be copied into a file."""
    page = Page(colour=style.colour)
    statements = _named(result)
    page.lines(statements, "bold")
    page.line()
    steps = _backward(result)
    width = max(map(len, steps), default=0)
    for name, text in steps.items():
        page.write(f"{page.styled(name.ljust(width), 'cyan')} = {text}\n")
    formulas = result.formulas.items()
    shown = [name for name, text in formulas if text is None or f"d{name}" not in steps]
    if steps and shown:
        page.line()
    labels = {name: f"d{result.loss}/d{name}" for name in shown}
    indent = max(map(len, labels.values()), default=0)
    for name, label in labels.items():
        _formula(page, result, name, label.ljust(indent), style)
    if result.formulas or steps:
        page.line()
    page.lines((line for text in _remarks(result) for line in _wrapped(text, style)), "dim")
    return page.text


def _named(result: DeriveResult) -> list[str]:
    """The statements of the expression; the last one gives the result its name."""
    statements = _statements(result.expression)
    if statements[-1] == result.output:
        statements.pop()
    elif isinstance(ast.parse(statements[-1]).body[0], ast.Expr):
        statements[-1] = f"{result.output} = {statements[-1]}"
    return statements


def _backward(result: DeriveResult) -> dict[str, str]:
    """The backward pass: the gradients of the steps, then of the inputs, with --steps."""
    steps = {row["name"]: row["text"] for row in result.steps or []}
    return steps | {f"d{name}": text for name, text in result.short.items()}


def _missing(result: DeriveResult, name: str) -> str:
    """Why there is no formula; a line of the backward pass may have the gradient nevertheless."""
    alone = " in the inputs alone" if f"d{name}" in _backward(result) else ""
    return f"no formula{alone} ({result.reasons[name]})"


def _formula(page: Page, result: DeriveResult, name: str, label: str, style: Style) -> None:
    """One formula with what it binds below it, except for the steps, which stand above."""
    text, head, hang = result.formulas[name], page.styled(label, "cyan"), " " * len(label)
    if text is None:
        page.write(f"{head} : {page.styled(_missing(result, name), 'yellow')}\n")
        return
    *bound, last = _statements(text)
    width = None if style.width is None else style.width - len(label) - 3
    first, *more = broken(last, width)
    page.write(f"{head} = {first}\n")
    page.lines(f"{hang}     {line}" for line in more)
    lead = _WHERE
    for statement in bound:
        if statement.partition(" = ")[0] in result.ranks:
            continue
        first, *more = broken(statement, width and width - len(_WHERE))
        page.write(f"{hang}   {page.styled(lead, 'dim')}{first}\n")
        lead = " " * len(_WHERE)
        page.lines(f"{hang}     {lead}{line}" for line in more)


def _remarks(result: DeriveResult) -> Iterator[str]:
    """What the names mean, and how the formulas were verified."""
    if result.upstream:
        whole = f"{result.upstream} = d{result.loss}/d{result.output}, the upstream gradient of the result"
        yield f"{whole}, in its shape {result.shape}"
    tensors = {name: tensor for name, tensor in result.inputs.items() if tensor.ndim}
    if shapes := [f"{name} {numbers.shape_text(tensor)}" for name, tensor in tensors.items()]:
        yield f"shapes: {'  '.join(text.replace(' ', _BLANK) for text in shapes)}"
    if names := result.defaults:
        yield f"{', '.join(names)}: {'one number' if len(names) == 1 else 'one number each'}, by default"
    found = result.verified.values()
    if not found:
        if _backward(result):
            yield "each line was verified against autograd"
        return
    points, sizes = (min(int(each[key]) for each in found) for key in ("points", "sizes"))
    error = max(each["max_rel_error"] for each in found)
    at = f"{points} points" if points != 1 else "1 point"
    others = f" and {sizes} other sizes" if sizes > 1 else " and 1 other size" if sizes else ""
    to = f"to {error:.0e}".replace("e-0", "e-") if error else "in every digit"
    yield f"verified against autograd at {at}{others}, {to}"


def broken(text: str, width: int | None) -> list[str]:
    """An expression in lines of at most `width` columns, broken at operators where that is possible,
    outside brackets first; inside them a line is indented. Those after the first have two columns
    less.
    """
    lines: list[str] = []
    depth, indent = 0, ""
    while width is not None and len(indent + text) > width:
        if not (place := _place(text, width - len(indent))):
            break
        line, text = text[:place].rstrip(), text[place:].lstrip()
        lines.append(indent + line)
        depth += sum(_DEPTH.get(found.lastgroup or "", 0) for found in _PLACES.finditer(line))
        width -= 2 if len(lines) == 1 else 0
        indent = " " * min(2 * depth, max(0, width // 4))
    return [*lines, indent + text]


def _place(text: str, width: int) -> int:
    """The best place for a break within `width` columns, else the first one; 0 if there is none."""
    depth, places = 0, []
    for found in _PLACES.finditer(text):
        kind = found.lastgroup or ""
        depth += _DEPTH.get(kind, 0)
        if kind in _PLACE:
            places.append((depth, _PLACE[kind], -found.start()))
    fitting = [each for each in places if -each[2] <= width]
    good = [each for each in fitting if -each[2] > width // 3]
    best = min(good or fitting or places[:1], default=(0, 0, 0))
    return -best[2]


def _statements(text: str) -> list[str]:
    """The statements of an expression, each as it is written."""
    return [ast.get_source_segment(text, node) or "" for node in ast.parse(text).body]


def _wrapped(text: str, style: Style) -> list[str]:
    lines = [text] if style.width is None else prose(text, style.width)
    return [line.replace(_BLANK, " ") for line in lines]


def latex(result: DeriveResult) -> str:
    """The formulas as display mathematics, then the backward pass; a comment where there is none."""
    return "".join(
        display(part.latex) if isinstance(part, Formula) else f"% {part.text}\n"
        for part in _formulas(result)
    )


def document(result: DeriveResult, digits: int) -> list[Part]:
    """The expression, its formulas, and how they were verified."""
    expression = "; ".join(_named(result))
    return [
        Heading(expression, expression),
        *_formulas(result),
        *(Prose(text.replace(_BLANK, " ")) for text in _remarks(result)),
    ]


def _formulas(result: DeriveResult) -> Iterator[Formula | Prose]:
    """The formula of each input, or why there is none; then the backward pass."""
    for name, equation in result.latex.items():
        if equation is None:
            yield Prose(f"{name}: {_missing(result, name)}")
        else:
            yield Formula(f"d{result.loss}/d{name} = {result.formulas[name]}", equation)
    if steps := _backward(result):
        plain = {f"d{name}": f"d{name}".replace(".", "_") for name in result.ranks}
        ranks = {plain[f"d{name}"]: rank for name, rank in result.ranks.items()} | result.ranks
        symbols = Mathematics(ranks)
        names = {plain[f"d{name}"]: rf"\mathrm{{d}}{symbols.symbol(name)}" for name in result.ranks}
        written = Mathematics(ranks, names)
        body = "; ".join(f"{plain[name]} = {line}" for name, line in steps.items())
        lines = "\n".join(f"{name} = {line}" for name, line in steps.items())
        yield Formula(lines, written.equation("", body))
