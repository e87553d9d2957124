"""Expressions as LaTeX: what a textbook would print, mathematics that TeX can read, and the same
numbers when it is read back.
"""

import ast
import math
import random
import re
import shlex
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import pytest
from matplotlib import mathtext

from gradcli.catalogue.functions import CATALOGUE
from gradcli.errors import GradcliError
from gradcli.language.expressions.expression import parse
from gradcli.language.expressions.rules import RULES
from gradcli.language.source import Source
from gradcli.show import mathematics
from gradcli.show.mathematics import Mathematics
from tests.choice import LONG_CHAIN, Choose, in_rows

ROOT = Path(__file__).parents[2]

TEXTBOOK = {
    "2*x*(w*x - y)": r"2 x (w x - y)",
    "a*b/c": r"\frac{a b}{c}",
    "-a/b*c": r"-\frac{a}{b} c",
    "(a/b)**2": r"\left(\frac{a}{b}\right)^{2}",
    "-x**2": "-x^{2}",
    "(-x)**2": "(-x)^{2}",
    "3 - -x": "3 - (-x)",
    "a - (b - c)": "a - (b - c)",
    "2**x**2": "2^{x^{2}}",
    "x*2": r"x \cdot 2",
    "2*(1/3)": r"2 \cdot \frac{1}{3}",
    "x**(1/3) + x**0.5": r"x^{1/3} + \sqrt{x}",
    "1e-05*x": r"10^{-5} x",
    "lam*x_0 + W1*h_prev": r"\lambda x_{0} + W_{1} h_{\mathit{prev}}",
    "loss*rate": r"\mathit{loss} \, \mathit{rate}",
    "sin(x)**2 + exp(-x)": r"\sin^{2}(x) + e^{-x}",
    "exp(-(x - mu)**2/(2*sigma**2))": r"\exp\left(-\frac{(x - \mu)^{2}}{2 \sigma^{2}}\right)",
    "1/(1 + exp(-z))": r"\frac{1}{1 + e^{-z}}",
    "abs(x)/sqrt(x**2 + y**2)": r"\frac{\lvert x \rvert}{\sqrt{x^{2} + y^{2}}}",
    "sum(x)*y": r"\left(\sum x\right) y",
    "x.relu().sum()": r"\sum \operatorname{ReLU}(x)",
    "(a | b) & c": r"(a \lor b) \land c",
    "z*(x % y)": r"z (x \bmod y)",
    "where(x > 0, x, 0*x)": r"\begin{cases} x & \text{if } x > 0 \\ {}0 x & \text{otherwise} \end{cases}",
    "F.cross_entropy(a, t, reduction='sum')": r"\operatorname{cross\_entropy}(a, t, \mathrm{reduction} = \text{sum})",
    "math.pi*torch.special.expit(x)": r"\pi \sigma(x)",
    "a[0] + A[-1, 2:]": "a_{0} + A_{-1, 2{:}}",
}  # fmt: skip

MATRICES = {
    "2/len(y)*X.T @ w": r"\frac{2}{\operatorname{len}(\mathbf{y})} \mathbf{X}^{\top} \mathbf{w}",
    "w @ w + norm(w)**2": r"\mathbf{w}^{\top} \mathbf{w} + \lVert \mathbf{w} \rVert_{2}^{2}",
    "norm(X)": r"\lVert \mathbf{X} \rVert_{F}",
    "inv(X).T @ w": r"\mathbf{X}^{-\top} \mathbf{w}",
    "outer(w, y)": r"\mathbf{w} \mathbf{y}^{\top}",
    "2*w*y": r"2 \mathbf{w} \odot \mathbf{y}",
    "(w*y) @ X": r"(\mathbf{w} \odot \mathbf{y})^{\top} \mathbf{X}",
    "(X*X) @ w": r"(\mathbf{X} \odot \mathbf{X}) \mathbf{w}",
    "s*X @ w": r"s \mathbf{X} \mathbf{w}",
    "w*(w @ y)": r"\mathbf{w} \mathbf{w}^{\top} \mathbf{y}",
    "X.sum(0)*w": r"\left(\sum_{\dim 0} \mathbf{X}\right) \odot \mathbf{w}",
    "softmax(X, 1) - softmax(X, 0)": r"\operatorname{softmax}(\mathbf{X}) - \operatorname{softmax}_{\dim 0}(\mathbf{X})",
    "mean(w)*w": r"\operatorname{mean}(\mathbf{w}) \mathbf{w}",
    "zeros_like(w) + s*eye(3)": r"\mathbf{0} + s \mathbf{I}_{3}",
    "X.shape[1]*w": r"\operatorname{shape}(\mathbf{X})_{1} \mathbf{w}",
}  # fmt: skip
RANKS = {"X": 2, "w": 1, "y": 1, "s": 0}


def latex(text: str, ranks: Mapping[str, int] = MappingProxyType({})) -> str:
    return Mathematics(ranks).equation("", text)


@pytest.mark.smoke
@pytest.mark.parametrize("text", TEXTBOOK)
def test_numbers_are_written_as_in_a_textbook(text: str) -> None:
    assert latex(text) == TEXTBOOK[text]


@pytest.mark.parametrize("text", MATRICES)
def test_vectors_and_matrices_are_bold_and_their_products_are_told_apart(text: str) -> None:
    assert latex(text, RANKS) == MATRICES[text]


def test_statements_are_aligned_and_know_what_is_a_vector() -> None:
    found = Mathematics({"a": 1, "g": 1}).equation("d", "p = softmax(a, 0); p*(g - g @ p)")
    assert found == (
        "\\begin{aligned}\n"
        r"\mathbf{p} &= \operatorname{softmax}(\mathbf{a}) \\" + "\n"
        r"d &= \mathbf{p} \odot (\mathbf{g} - \mathbf{g}^{\top} \mathbf{p})" + "\n"
        "\\end{aligned}"
    )
    assert latex("n += 1; n").split("\n")[1] == r"n &\leftarrow n + 1 \\"


# --- TeX reads it -------------------------------------------------------------------------------

_TOKEN = re.compile(r"\\[A-Za-z]+|\\.|[{}^_&]|\s+|.", re.DOTALL)
_KNOWN = r"""
    \alpha \beta \gamma \delta \epsilon \zeta \eta \theta \iota \kappa \lambda \mu \nu \xi \rho \sigma \tau \upsilon \phi
    \chi \psi \omega \pi \Gamma \Delta \Theta \Lambda \Xi \Phi \Psi \Omega \varepsilon \ell \infty \top \partial
    \frac \sqrt \sum \prod \operatorname \mathbf \mathit \mathrm \boldsymbol \text \textbackslash \textasciicircum
    \textasciitilde \sin \cos \tan \sinh \cosh \tanh \arcsin \arccos \arctan \log \exp \det \dim \max \min \arg
    \odot \cdot \bmod \land \lor \lnot \oplus \ll \gg \le \ge \ne \leftarrow \dots \overline
    \lvert \rvert \lVert \rVert \lfloor \rfloor \lceil \rceil \left \right \begin \end
"""
COMMANDS = {*_KNOWN.split()}
"""What LaTeX with amsmath has, and nothing else."""


def problems(text: str) -> list[str]:
    """What TeX would complain about: braces, pairs, unknown commands, two indices at one place."""
    found, stack = [], [""]
    after: list[set[str]] = [set()]
    before = ""
    for token in _TOKEN.findall(text):
        if token.startswith("\\") and token[1:].isalpha() and token not in COMMANDS:
            found.append(f"unknown {token}")
        if token == "{" or token in (r"\left", r"\begin"):
            stack.append(token)
        elif token == "}" or token in (r"\right", r"\end"):
            opening = {"}": "{", r"\right": r"\left", r"\end": r"\begin"}[token]
            if stack.pop() != opening:
                return [*found, f"{token} without {opening}"]
        if token == "{":
            if before not in ("^", "_"):
                after[-1].clear()
            after.append(set())
        elif token == "}":
            after.pop()
        elif token in "^_":
            if token in after[-1]:
                found.append(f"double {token}")
            after[-1].add(token)
        elif not token.isspace():
            after[-1].clear()
        before = token if not token.isspace() else before
    return [*found, *(f"{token} is open" for token in stack[1:])]


def test_the_problems_are_seen() -> None:
    assert problems(r"x_{1}_{2}") == ["double _"]
    assert problems(r"x^{\top}^{2}") == ["double ^"]
    assert problems(r"{x_{1}}_{2}^{3} \sum_{1} {y}_{1}") == []
    assert problems(r"\left(\frac{1}{2}\right") == []
    assert problems(r"\left(\foo{1}") == [r"unknown \foo", r"\left is open"]
    assert problems(r"\frac{1}}{2}") == ["} without {"]


def expressions() -> Iterator[str]:
    """The expressions of the documentation, the published examples, and the catalogue."""
    for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        for line in re.findall(
            r"^\$ gradcli (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE
        ):
            try:
                yield from shlex.split(line)[1:]
            except ValueError:
                continue
    with open(ROOT / "tests" / "cases" / "published.toml", "rb") as file:
        for example in tomllib.load(file)["example"]:
            yield from example["args"][1:]
    for entry in CATALOGUE.values():
        yield from (text for text in (entry.formula, entry.derivative, entry.code) if text)


def is_expression(text: str) -> bool:
    """Whether it is an expression of the language, whatever its inputs are, and more than a word."""
    try:
        tree = parse(Source(text), (), free=True).tree
    except GradcliError:
        return False
    return any(isinstance(node, ast.BinOp | ast.Call | ast.Subscript) for node in ast.walk(tree))


def test_every_kind_of_syntax_is_written() -> None:
    statements = {ast.Expr, ast.Assign, ast.AugAssign}
    assert set(RULES) - statements <= set(mathematics._RULES)


OTHERWISE = {
    r"\lvert": r"\vert", r"\rvert": r"\vert", r"\lVert": r"\Vert", r"\rVert": r"\Vert", "$>$": ">",
}  # fmt: skip
"""What matplotlib's reader calls by another name, and mathematics within a text, which it cannot read."""


def test_every_expression_of_the_documentation_and_the_catalogue_is_mathematics(
    choose: Choose[str],
) -> None:
    corpus = [*dict.fromkeys(filter(is_expression, expressions()))]
    assert len(corpus) > 250
    corpus = choose(corpus, in_rows(16, corpus))
    names = "xwWAXabyt"
    reader, read = mathtext.MathTextParser("path"), 0
    for text in corpus:
        for ranks in ({}, dict.fromkeys(names, 1), dict.fromkeys(names, 2)):
            found = latex(text, ranks)
            assert problems(found) == [], text
            if r"\begin" not in found and r"\bmod" not in found:
                for ours, theirs in OTHERWISE.items():
                    found = found.replace(ours, theirs)
                reader.parse(f"${found}$")
                read += 1
    assert read > 1.8 * len(corpus)


@LONG_CHAIN
def test_a_sum_of_thousands_of_terms_and_a_chain_of_methods() -> None:
    assert latex(" + ".join(["x"] * 4000)).count("+") == 3999
    assert latex("x" + ".neg()" * 2000).count("neg") == 2000


# --- and reads back -----------------------------------------------------------------------------

NAMES = {"x": 1.3, "w": -0.7, "y": 2.1, "lam": 0.4}
_WORDS = re.compile(r"\\[A-Za-z]+|\d+\.?\d*|[A-Za-z]|[-+(){}^,]")
_FUNCTIONS = {r"\sin": math.sin, r"\cos": math.cos, r"\tanh": math.tanh, r"\exp": math.exp}


class Calculator:
    """Reads LaTeX by the conventions of mathematics alone, and computes it."""

    def __init__(self, text: str) -> None:
        text = text.replace(r"\left", "").replace(r"\right", "").replace(r"\sigma", r"\sigma ")
        self._words: list[str] = [*_WORDS.findall(text), ""]

    def value(self) -> float:
        """The value of all of it."""
        value = self._sum()
        assert self._words == [""], self._words
        return value

    def _take(self, *expected: str) -> str:
        word = self._words.pop(0)
        assert not expected or word in expected, (word, expected)
        return word

    def _sum(self) -> float:
        sign = self._take() if self._words[0] in ("-", "+") else "+"
        value = self._product() * (-1 if sign == "-" else 1)
        while self._words[0] in ("-", "+"):
            sign = self._take()
            value += self._product() * (-1 if sign == "-" else 1)
        return value

    def _product(self) -> float:
        value = self._power()
        while self._words[0] not in ("", "-", "+", ")", "}", r"\rvert"):
            if self._words[0] == r"\cdot":
                self._take()
            value *= self._power()
        return value

    def _group(self, opening: str = "{", closing: str = "}") -> float:
        self._take(opening)
        value = self._sum()
        self._take(closing)
        return value

    def _power(self) -> float:
        word = self._words[0]
        if word in ("(", r"\lvert"):
            value = self._group(word, ")" if word == "(" else r"\rvert")
            value = abs(value) if word == r"\lvert" else value
        elif word == "{":
            value = self._group()
        else:
            value = self._atom(self._take())
        if self._words[0] != "^":
            return value
        self._take()
        return float(value ** self._group())

    def _atom(self, word: str) -> float:
        if word == r"\frac":
            return self._group() / self._group()
        if word == r"\sqrt":
            return math.sqrt(self._group())
        if word == r"\sigma":
            return 1 / (1 + math.exp(-self._group("(", ")")))
        if word in _FUNCTIONS:
            power = self._group() if self._words[0] == "^" and self._take() else 1.0
            return float(_FUNCTIONS[word](self._group("(", ")")) ** power)
        if word == "e":
            return math.e
        return (
            NAMES["lam"] if word == r"\lambda" else NAMES[word] if word.isalpha() else float(word)
        )


def tree(rng: random.Random, depth: int) -> str:
    """A random expression of numbers, every operand in brackets."""
    if depth == 0 or rng.random() < 0.1:
        return rng.choice(["x", "w", "y", "lam", "2", "0.25", "3", "10"])
    a, b = tree(rng, depth - 1), tree(rng, depth - 1)
    function = rng.choice(["sin", "cos", "tanh", "exp", "sigmoid", "abs"])
    return rng.choice(
        [f"({a}) + ({b})", f"({a}) - ({b})", f"({a})*({b})", f"({a})*({b})", f"({a})/({b})", f"-({a})",
         f"({a})**2", f"({a})**-1", f"sqrt(abs({a}))", f"{function}({a})"]
    )  # fmt: skip


def test_brackets_are_where_mathematics_needs_them() -> None:
    """Random expressions have the same value when their LaTeX is read by its own conventions."""
    rng = random.Random(0)
    own = {
        **{name: getattr(math, name) for name in ("sin", "cos", "tanh", "exp", "sqrt")},
        "sigmoid": lambda x: 1 / (1 + math.exp(-x)), "abs": abs,
    }  # fmt: skip
    compared = 0
    while compared < 500:
        text = tree(rng, rng.randint(1, 5))
        try:
            expected = eval(text, {**own, **NAMES})
        except (ZeroDivisionError, OverflowError):
            continue
        found = latex(text)
        assert Calculator(found).value() == pytest.approx(expected, rel=1e-9), (text, found)
        compared += 1
