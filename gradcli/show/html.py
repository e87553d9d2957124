"""A fragment of HTML without scripts: tables, captions, programs. Its style is inside, follows the
page's colours, and reaches nothing but the fragment.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from html import escape

from gradcli.show.document import (
    Code,
    Formula,
    Heading,
    Listing,
    Part,
    Prose,
    Span,
    TextColumn,
    TextTable,
    spans,
    titled,
)

STYLE = """\
.gradcli{line-height:1.5}
.gradcli>*{margin:0 0 1em}
.gradcli .wide{overflow-x:auto}
.gradcli table{border-collapse:collapse;margin:0;font-variant-numeric:tabular-nums}
.gradcli caption{text-align:left;font-weight:bold;padding:0 0 .4em}
.gradcli caption.short,.gradcli table code{white-space:nowrap}
.gradcli th,.gradcli td{padding:.2em .7em;border:0;background:none;color:inherit;text-align:left;vertical-align:top}
.gradcli thead th,.gradcli thead td{border-bottom:2px solid;white-space:nowrap}
.gradcli tbody th{font-weight:normal}
.gradcli .line{border-top:1px solid}
.gradcli tbody:last-child{border-bottom:1px solid}
.gradcli .number{text-align:right;white-space:nowrap}
.gradcli td.number{font-family:ui-monospace,Menlo,Consolas,"DejaVu Sans Mono",monospace;font-size:.92em;\
padding-right:calc(.7em + var(--gap,0)*1ch)}
.gradcli .below{opacity:.75;font-size:.9em;margin-top:-.6em}
.gradcli .below>*{margin:0}
.gradcli code{font-family:ui-monospace,Menlo,Consolas,"DejaVu Sans Mono",monospace;font-size:.92em;\
background:none;border:0;padding:0;color:inherit}
.gradcli pre{overflow-x:auto;padding:.6em .8em;border:1px solid;border-radius:4px;background:none;color:inherit}
"""

SHORT = 60
"""Characters of a title that may be wider than its table, at most."""


def write(parts: Sequence[Part], names: Collection[str]) -> str:
    """The parts as one element, ended by a line feed; `names` are those of the tensors."""
    body = "\n".join(line for part in parts for line in _lines(part, names))
    return f'<div class="gradcli">\n<style>\n{STYLE}</style>\n{body}\n</div>\n'


def _lines(part: Part, names: Collection[str]) -> Iterator[str]:
    match part:
        case Heading():
            yield f"<p><strong>{_titled(part.text, part.formula)}</strong></p>"
        case Prose():
            yield f"<p>{escaped(part.text)}</p>"
        case Code() | Formula():
            text = part.text.rstrip("\n")
            yield f"<pre><code>{escaped(text)}</code></pre>"
        case Listing():
            rows = (
                f"<li><code>{escaped(name)}</code>: {escaped(text)}</li>"
                for name, text in part.rows
            )
            yield from ("<ul>", *rows, "</ul>")
        case TextTable():
            yield from _table(part, names)


def _table(table: TextTable, names: Collection[str]) -> Iterator[str]:
    title = _titled(table.title, table.formula)
    if not table.columns:
        yield f"<p><strong>{title}</strong></p>"
    else:
        yield '<div class="wide"><table>'
        if title:
            short = ' class="short"' if len(table.title) <= SHORT else ""
            yield f"<caption{short}>{title}</caption>"
        heads = (
            f'<th scope="col"{_number(column)}>{_mixed(column.heading, ())}</th>'
            if column.heading
            else f"<td{_number(column)}></td>"
            for column in table.columns
        )
        yield f"<thead><tr>{''.join(heads)}</tr></thead>"
        for rows, lined in table.blocks:
            yield '<tbody class="line">' if lined else "<tbody>"
            for row in rows:
                cells = map(_cell, row, table.columns, range(len(row)), [names] * len(row))
                yield f"<tr>{''.join(cells)}</tr>"
            yield "</tbody>"
        yield "</table></div>"
    if table.caption:
        yield '<div class="below">'
        for remark in table.remarks:
            yield from _lines(remark, names)
        yield "</div>"


def _cell(text: str, column: TextColumn, place: int, names: Collection[str]) -> str:
    """One cell; the first one names the row, and a number keeps the room that aligns its point."""
    shown = text.strip()
    content = _mixed(shown, names) if column.code else escaped(shown)
    if not place:
        return f'<th scope="row"{_number(column)}>{content}</th>'
    gap = len(text) - len(text.rstrip()) if column.numeric and shown else 0
    style = f' style="--gap:{gap}"' if gap else ""
    return f"<td{_number(column)}{style}>{content}</td>"


def _number(column: TextColumn) -> str:
    return ' class="number"' if column.numeric else ""


def _mixed(text: str, names: Collection[str]) -> str:
    """A text that may be an expression, or hold some."""
    return _spans(spans(text, names))


def _titled(title: str, formula: str) -> str:
    return _spans(titled(title, formula))


def _spans(found: Iterable[Span]) -> str:
    return "".join(
        f"<code>{escaped(span.text)}</code>" if span.code else escaped(span.text) for span in found
    )


def escaped(text: str) -> str:
    """Plain text for HTML, whatever the encoding of the page: ASCII alone."""
    return escape(text, quote=False).encode("ascii", "xmlcharrefreplace").decode()
