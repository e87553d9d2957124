"""The forms for another page, read back by parsers of others: every cell is the terminal's."""

import re
import shlex
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Sequence
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from gradcli.commands import COMMANDS
from gradcli.show import html, latex, markdown
from gradcli.show.document import (
    Code,
    Formula,
    Heading,
    Listing,
    Part,
    Prose,
    TextColumn,
    Texts,
    TextTable,
)
from gradcli.show.mathematics import Mathematics
from tests.choice import first_usual, rare
from tests.program import run

Rows = list[list[str]]
GITHUB = MarkdownIt("commonmark").enable(["table", "strikethrough"])
NONE = {"batch", "server", "completion", "session"}
"""The commands without tables."""
PAGES = {"plot", "derive", "why", "functions"}
"""The commands whose terminal shows something else than tables, at least in part."""
MORE = [*map(shlex.split, (
    "grad 'h = w*x + b; O = sigmoid(h); (O - t)**2 / 2' x=1 w=0.5 b=0 t=1 --explain --check",
    "grad 'softmax(x, 0)[1]' x=1,2,3 --explain --check --expect x=1,2,3",
    "grad 'mse(X @ w, y)' X='randn(3,2)' w=1,2 y=1,2,3 --jvp w=1,0 --explain",
    "grad 'x*y' x=1,2,3 y=2,3,4 --each x,y",
    "grad 'where(a_b | (a_b < 2*x), x, -x).sum()' a_b=True,False x=1,2",
    "grad \"net = nn.Sequential(nn.Linear(2,2), nn.Tanh()); mse(net(x), y, reduction='sum')\" x='1,2;3,4' y='1,2;3,4'",
    "grad \"einsum('i,i->', a__1, _b)\" a__1=1,2 _b=3e-9,inf",
    "grad 'relu(x)' x=0",
    "value 'x @ w' x='randn(50,60)' w='randn(60,40)'",
    "softmax-jacobian 2,1,0.1 --explain",
    "descend '(x-1)**2' x=0 --steps 90 --full --explain",
    "plot 'x**2 - y**2' x=-2,0,2 y=0,1,2 --check",
    "derive 'linalg.cholesky(A)' A='eye(2)'",
    "derive 'h = tanh(w*x); mse(h, y)' --steps",
    "why",
))]  # fmt: skip


def calls() -> Iterator[list[str]]:
    """Two examples in help of every command with tables, if they need no file, and more."""
    for name, command in COMMANDS.items():
        for line, _ in command.examples[:2] if name not in NONE else ():
            words = shlex.split(line)
            if (
                words[0] == "gradcli"
                and ".py" not in line
                and not {"--get", "--json", "--csv"} & {*words}
            ):
                yield words[1:]
    yield from MORE


def terminal_tables(text: str) -> list[Rows]:
    """The cells of the tables that a terminal shows, without a bound on its width."""
    found: list[Rows] = []
    for line in text.split("\n"):
        if line.startswith("╭"):
            found.append([])
        elif line.startswith("│"):
            found[-1].append([cell.strip() for cell in line[1:-1].split("│")])
    return found


def markdown_tables(text: str) -> list[Rows]:
    found: list[Rows] = []
    for token in GITHUB.parse(text):
        if token.type == "table_open":
            found.append([])
        elif token.type == "tr_open":
            found[-1].append([])
        elif token.type == "inline" and found and token.level > 2:
            children = token.children or []
            assert {child.type for child in children} <= {"text", "code_inline"}
            found[-1][-1].append("".join(child.content for child in children).strip())
    return found


class Reader(HTMLParser):
    """The tables of a fragment, which must be well formed: no tag is left open, and none is known to
    load or run anything.
    """

    def __init__(self) -> None:
        super().__init__()
        self.tables: list[Rows] = []
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        assert tag in {
            "div", "style", "p", "strong", "code", "pre", "ul", "li", "br",
            "table", "caption", "thead", "tbody", "tr", "th", "td",
        }  # fmt: skip
        assert {name for name, _ in attributes} <= {"class", "style", "scope"}
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("th", "td"):
            self.tables[-1][-1].append("")
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        assert (
            "style" in self.open or "<" not in self.rawdata[self.offset : self.offset + 1] or data
        )
        if {"th", "td"} & {*self.open}:
            self.tables[-1][-1][-1] += data
        if "style" not in self.open:
            self.text += data


def read_html(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    reader.close()
    assert not reader.open
    return reader


@pytest.mark.parametrize(
    "words",
    first_usual(calls(), lambda words: words[0] if words not in MORE else str(words)),
    ids=" ".join,
)
def test_markdown_and_html_have_the_cells_and_the_notes_of_the_terminal(
    words: Sequence[str],
) -> None:
    plain, marked, page = (run(*words, *form) for form in ((), ("--markdown",), ("--html",)))
    assert {plain.status, marked.status, page.status} <= {0, 1}, marked.stderr + page.stderr
    assert plain.status == marked.status == page.status
    assert "note:" not in marked.stderr + page.stderr
    reader = read_html(page.stdout)
    for note in re.findall(r"^note: .*$", plain.stderr, re.M):
        assert note in reader.text
    assert markdown_tables(marked.stdout) == reader.tables
    if words[0] not in PAGES and "--shapes" not in words:
        assert reader.tables == terminal_tables(plain.stdout)


def test_words_that_python_would_read_are_words(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("def f(x, y):\n    return (x*y.detach()).sum()\n")
    words = ("check", "own.py:f", "x=1,2", "y=1,2")
    marked, page, typeset = (
        run(*words, form, cwd=str(tmp_path)).stdout for form in ("--markdown", "--html", "--latex")
    )
    assert "| what is wrong " in marked
    assert ">what is wrong</th>" in page
    assert "& what is wrong " in typeset
    assert "none in PyTorch;" in run("functions", "step", "--latex").stdout


def test_numbers_are_those_of_json() -> None:
    words = ("activate", "sigmoid", "--x", "-1,0.5,1e-9,30", "--dtype", "float64")
    head, *rows = read_html(run(*words, "--html", "--precision", "17").stdout).tables[0]
    (function,) = run(*words, "--json").json["functions"]
    assert head == ["index", "x", "sigmoid", "sigmoid'"]
    assert [float(row[2]) for row in rows] == function["value"]
    assert [float(row[3]) for row in rows] == function["derivative"]


def test_titles_are_code_and_numbers_stand_on_the_right() -> None:
    shown = run("grad", "w*x", "x=1", "w=0.5", "--markdown").stdout
    assert shown == (
        "**`w*x` = 0.5**\n"
        "\n"
        "| input | value | gradient |\n"
        "| ----- | ----: | -------: |\n"
        "| `x`   |   1   |      0.5 |\n"
        "| `w`   |   0.5 |      1   |\n"
        "\n"
        "float32, shapes: x []  w []  result []\n"
    )
    shown = run("value", "(x>0)|(y>0)", "x=1", "y=-1", "--markdown").stdout
    assert shown.startswith("**`(x>0)|(y>0)` = True**\n")  # a backslash is for tables alone


def test_precision_full_and_quiet_apply() -> None:
    words = ("activate", "sigmoid", "--x", "zeros(2000)")
    for form in ("--markdown", "--latex", "--html"):
        short, whole = run(*words, form).stdout, run(*words, form, "--full").stdout
        assert short.count("\n") < 80 < 2000 < whole.count("\n")
        assert "0.66" in run("grad", "2*x/3", "x=1", form, "--precision", "2").stdout.replace(
            "0.67", "0.66"
        )
        assert "kink" in run("grad", "relu(x)", "x=0", form).stdout
        assert "kink" not in run("grad", "relu(x)", "x=0", form, "--quiet").stdout


def test_latex_of_the_catalogue_has_cases_and_rows_of_jacobians_are_mathematics() -> None:
    rows = run("functions", "--latex").stdout.splitlines()
    for name in ("relu", "elu", "prelu", "step"):
        (row,) = (row for row in rows if row.startswith(f"{name} &") and " & \\texttt" not in row)
        assert r"\begin{cases}" in row
    for words in ((), ("--row", "1"), ("--explain",)):
        shown = run("softmax-jacobian", "2,1", *words, "--latex").stdout
        assert "$p_{1}$ & $" in shown
        assert "p[1]" not in shown


def test_derive_prints_formulas_alone_as_latex_and_notes_beside_them() -> None:
    shown = run("derive", "2*x", "x=1", "y=2", "--latex")
    assert shown.stdout.startswith("\\[\n")
    assert shown.stderr == run("derive", "2*x", "x=1", "y=2").stderr != ""
    words = ("derive", "mse(w*x, y)", "w=1,2", "x=3", "y=1")
    assert r"\operatorname{len}" in run(*words, "--latex").stdout
    shown = run(*words, "--markdown")
    assert r"\mathrm{len}" in shown.stdout
    assert "operatorname" not in shown.stdout  # GitHub refuses it


def test_the_wrong_line_of_a_backward_pass_keeps_its_caret(tmp_path: Path) -> None:
    (tmp_path / "back.py").write_text("dh = 2*h\ndw = dh*x*2\n")
    words = ("grad", "h = w*x; h**2", "w=2", "x=3", "--expect", f"@{tmp_path / 'back.py'}")
    assert "\n```text\ndw = dh*x*2\n^^^^^^^^^^^\n```\n" in run(*words, "--markdown").stdout
    assert "<pre><code>dw = dh*x*2\n^^^^^^^^^^^</code></pre>" in run(*words, "--html").stdout
    assert r"\char94{}" * 11 in run(*words, "--latex").stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("grad", "x", "x=1", "--markdown", "--html"),
            "--markdown and --html cannot be used together",
        ),
        (("grad", "x", "x=1", "--json", "--latex"), "--json and --latex cannot be used together"),
        (("session", "x", "x=1", "--html"), "--html"),
        (("server", "status", "--markdown"), "--markdown"),
    ],
)
def test_two_forms_or_a_command_without_tables_are_usage_errors(
    words: Sequence[str], said: str
) -> None:
    shown = run(*words)
    assert (shown.status, shown.stdout) == (2, "")
    assert said in shown.stderr


@pytest.mark.parametrize("key", ["markdown", "latex", "html"])
def test_a_batch_refuses_them(key: str) -> None:
    shown = run(
        "batch",
        stdin=f'{{"command": "grad", "expression": "x", "inputs": {{"x": 1}}, "{key}": true}}',
    )
    assert '"kind":"usage"' in shown.stdout


@pytest.mark.parametrize(
    ("suffix", "form"), [(".md", "--markdown"), (".tex", "--latex"), (".html", "--html")]
)
@pytest.mark.parametrize(
    "words", [("grad", "x**2", "x=3", "--explain"), ("why",), ("functions", "relu")]
)
def test_a_file_holds_what_the_option_prints(
    words: Sequence[str], suffix: str, form: str, tmp_path: Path
) -> None:
    path = tmp_path / f"page{suffix}"
    shown = run(*words, "--out", str(path))
    assert (shown.stdout, shown.stderr) == (f"wrote {path}\n", "")
    assert path.read_text() == run(*words, form).stdout


@pytest.mark.parametrize(
    "words", [("grad", "w*x", "x=1,2", "w=2,1", "--row", "0"), ("why", "no-grad"), ("functions",)]
)
def test_svg_is_the_terminal_of_eighty_columns(words: Sequence[str], tmp_path: Path) -> None:
    path, again = tmp_path / "a.svg", tmp_path / "b.svg"
    run(*words, "--out", str(path))
    run(
        *words,
        "--out",
        str(again),
        env={"COLUMNS": "40", "NO_COLOR": "1", "PYTHONIOENCODING": "ascii"},
    )
    assert path.read_bytes() == again.read_bytes()
    root = ElementTree.parse(path).getroot()
    lines: dict[str, list[str]] = {}
    for element in root.iter("{http://www.w3.org/2000/svg}text"):
        lines.setdefault(element.attrib["y"], []).append(element.text or "")
    shown = run(*words, env={"COLUMNS": "80"}).stdout
    assert ["".join(line).replace(" ", "") for line in lines.values()] == [
        line.replace(" ", "") for line in shown.split("\n") if line.strip()
    ]


# --- hostile texts ------------------------------------------------------------------------------

TEXTS = st.text(
    st.characters(blacklist_categories=["Cs", "Cc", "Zl", "Zp", "Zs"])
    | st.sampled_from(list(" \\`*_[]()<>#|~&$!-+.:;^{}%'\"@"))
).map(lambda text: " ".join(text.split()))


def page_of(cell: str) -> list[Part]:
    """A page with the same text at every place."""
    columns = [
        TextColumn("x", [Texts([[cell, "1"]])], numeric=False),
        TextColumn(cell, [Texts([["2", cell]])], False, True),
    ]
    return [
        Heading(cell),
        Prose(cell),
        Code(cell),
        Listing([(cell, cell)]),
        Formula(cell, "x"),
        TextTable(columns, cell, caption=cell),
    ]


@pytest.mark.parametrize("draws", [50, rare(150)])
def test_markdown_and_html_give_any_text_back(draws: int) -> None:
    @settings(max_examples=draws)
    @given(TEXTS)
    def is_given_back(text: str) -> None:
        parts = page_of(text)
        (table,) = markdown_tables(markdown.write(parts, ()))
        reader = read_html(html.write(parts, ()))
        assert table == reader.tables[0] == [["x", text], [text, "2"], ["1", text]]
        paragraphs = [
            "".join(child.content for child in token.children or [])
            for token in GITHUB.parse(markdown.write([Prose(text)], ()))
            if token.type == "inline"
        ]
        assert "".join(paragraphs) == text

    is_given_back()


def typeset(body: str, folder: Path) -> "subprocess.CompletedProcess[bytes]":
    source = rf"\documentclass{{article}}\usepackage{{amsmath,booktabs}}\begin{{document}}{body}\end{{document}}"
    (folder / "page.tex").write_text(source, encoding="utf-8")
    return subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "page.tex"],
        cwd=folder,
        capture_output=True,
        check=False,
    )


@pytest.mark.skipif(not shutil.which("pdflatex") or not shutil.which("pdftotext"), reason="no TeX")
def test_latex_prints_the_characters_and_cuts_no_number(tmp_path: Path) -> None:
    product = run("value", 'einsum("ij,jk->ik", A, B)', "A=1,2;3,4", "B=1,2;3,4", "--latex").stdout
    gelu = run("functions", "gelu", "--latex").stdout
    small = run(
        "value", "sum(1e+05*x + 2.5e-7*x + 0.134145*x + 1.234567890123*x)", "x=1,2", "--latex"
    )
    prose = latex.write(
        [Prose('--init x---y <a|b> "c"'), Formula("", Mathematics({}).equation("", "f('<|>')"))], {}
    )
    assert typeset(product + gelu + small.stdout + prose, tmp_path).returncode == 0
    assert not re.search(r"[\d.]\\allowbreak\{\}\d", gelu + small.stdout)
    text = subprocess.run(
        ["pdftotext", "page.pdf", "-"], cwd=tmp_path, capture_output=True, check=True
    )
    shown = "".join(text.stdout.decode().split())
    for part in ("(ij,jk->ik,", '--initx---y<a|b>"c"', "f(<|>)", "0.134145"):
        assert part in shown


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_latex_compiles_and_fits_the_page(tmp_path: Path) -> None:
    hostile = [
        "a_b^c{d}e\\f~g%h&i#j$k",
        "[1, 2]",
        "*",
        "<a|b>\"c'd`e",
        "\u03b1\u4e2d\u00e9 - -1 -> \u2264",
        "x" * 300,
        "f(" * 30 + ")" * 30,
        "",
    ]
    texts = [latex.write(page_of(text), {}) for text in hostile]
    texts += [run(*words, "--latex").stdout for words in calls()]
    assert all(text for text in texts)
    body = "\n".join(texts)
    made = typeset(body, tmp_path)
    log = made.stdout.decode(errors="replace")
    wide = [float(points) for points in re.findall(r"Overfull \\[hv]box \(([\d.]+)pt", log)]
    assert made.returncode == 0, re.findall(r"^!.*\n(?:.*\n){6}", log, re.M)
    assert "Warning" not in log
    assert not [points for points in wide if points > 6]
