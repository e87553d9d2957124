"""The corrections that a syntax error suggests for what people type instead of Python.

A correction is suggested only if the rewritten text is an expression over the names at hand. So a
pattern may match generously, and every suggestion can be copied. Where what was meant is not certain,
a rule puts UNCLEAR into the text, and its message says how either is written.
"""

import ast
import re
import unicodedata
import warnings
from collections.abc import Callable

from gradcli.catalogue.operators import function_names

FOREIGN = {
    **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212\ufe63\uff0d", "-"),
    **dict.fromkeys("\u00b7\u00d7\u2217\u2219\u22c5\u2297\u2299\u2a2f", "*"),
    **dict.fromkeys("\u00f7\u2044\u2215", "/"),
    **dict.fromkeys("\u2018\u2019\u201a\u201b", "'"),
    **dict.fromkeys("\u201c\u201d\u201e\u00ab\u00bb", '"'),
    **dict.fromkeys("\u00a0\u2007\u2009\u200a\u202f\u3000", " "),
    **dict.fromkeys("\u200b\u200e\u200f\u2060\ufeff", ""),
    **{char: f"**{power}" for power, char in enumerate("\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079")},
    **{char: f"_{index}" for index, char in enumerate("\u2080\u2081\u2082\u2083\u2084\u2085\u2086\u2087\u2088\u2089")},
    "\u207b\u00b9": "**-1", "\u00bd": "(1/2)", "\u00bc": "(1/4)", "\u00be": "(3/4)", "\u1d40": ".T", "\u22a4": ".T",
    "\u2032": "'", "\u2016": "||", "\u221e": "inf",
    "\u03c0": "pi", "\u2264": "<=", "\u2265": ">=", "\u2260": "!=", "\u2248": "==", "\u2202": "d",
    "\uff08": "(", "\uff09": ")", "\uff0c": ",",
}  # fmt: skip
"""Characters of a formula on a page, and their spelling in Python."""

GREEK = {
    **dict(zip("\u03b1\u03b2\u03b3\u03b4\u03b5\u03b6\u03b7\u03b8\u03b9\u03ba\u03bb\u03bc\u00b5\u03bd\u03be\u03c1\u03c3\u03c4\u03c5\u03c6\u03c7\u03c8\u03c9",
        ("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lam", "mu", "mu", "nu", "xi",
         "rho", "sigma", "tau", "upsilon", "phi", "chi", "psi", "omega"), strict=True)),
    **dict(zip("\u0393\u0394\u0398\u039b\u039e\u03a6\u03a8\u03a9",
        ("Gamma", "Delta", "Theta", "Lambda", "Xi", "Phi", "Psi", "Omega"), strict=True)),
}  # fmt: skip
"""Greek letters as names; lambda is a keyword of Python."""

SYNONYMS = {
    "ln": "log(x)", "lg": "log10(x) or log2(x)", "arcsen": "asin(x)", "tg": "tan(x)", "tgh": "tanh(x)",
    "cot": "1/tan(x)", "sec": "1/cos(x)", "csc": "1/sin(x)",
    "cbrt": "sign(x)*abs(x)**(1/3)", "root": "x**(1/n)", "sqr": "square(x), or sqrt(x)", "power": "x**n",
    "factorial": "exp(lgamma(n + 1))", "avg": "mean(x)", "average": "mean(x)", "tr": "trace(A)",
    "magnitude": "norm(x)", "length": "norm(x), or len(x)",
    "nll_softmax": "cross_entropy(logits, target)", "softmax_cross_entropy": "cross_entropy(logits, target)",
    "integrate": "trapezoid(y, x)", "derivative": "gradcli grad for a derivative",
    "list": "[a, b]", "tuple": "(a, b)", "sorted": "sort(x).values",
    "true": "True", "false": "False", "none": "None", "null": "None", "j": "1j", "i": "1j",
    "np.random": "torch.rand(2, 3), torch.randn(2, 3) or torch.randint(0, 9, (2,))",
    "np.linalg.lstsq": "torch.linalg.lstsq(A, b).solution",
    "math.frexp": "torch.frexp(x)", "math.modf": "x - trunc(x) and trunc(x)", "tau": "2*pi, or math.tau",
    "scipy": "torch", "tf": "torch", "jnp": "np",
}  # fmt: skip
"""Names from other books and programs, and what PyTorch has instead."""

RENAMED = {
    name: written.partition("(")[0]
    for name, written in SYNONYMS.items()
    if re.fullmatch(r"\w+\([xA]\)", written)
}
"""Functions that PyTorch has under another name: `ln` is log."""

UNCLEAR = "\ufffd"
"""What a rule leaves in the place of what may mean several things; no text with it is suggested."""

_FOREIGN = "|".join(map(re.escape, sorted(FOREIGN, key=len, reverse=True)))
_NUMBER = r"(?<![\w.])(\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+)"
_CONDITION = r"\s*([^()&|\s](?:[^()&|]*[^()&|\s])?)\s*"
_WORD = r"(?!(?:if|else|and|or|in|is|for|not)\b)[A-Za-z]"
_BEFORE = r"(?:\b(?=\d|" + _WORD + r")(\w+)\s*)?"
_BRACKETS = r"\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)"
_POWER_OF = r"(?:\s*(?:\^|\*\*)\s*-?\d+|\u207b\u00b9|[\u00b2\u00b3\u2074-\u2079])"
_POWER = r"((?:\^|\*\*)\s*(?:\d+|\(\d+\)))"
_FUNCTION_POWER = r"\b([A-Za-z]\w+)(" + _POWER_OF + rf")\s*({_BRACKETS}|{_WORD}\w*)"
_BARS = _BEFORE + r"\|\s*([^|]+?)\s*\|"
_TRANSPOSED = (
    r"((?<!\w)(?!e\b)[A-Za-z]\w*|[)\]])\s*(?:\^\s*(?:T\b|\{T\})|[\u1d40\u22a4])(\s*(?="
    + _WORD
    + r"|[\d(]))?"
)
_INVERSE = (
    rf"((?a:(?<!\w)[A-Z]\w*)|(?a:(?<!\w)){_BRACKETS})\s*(?:\u207b\u00b9|\^\s*(?:-1\b|\{{-1\}}|\(-1\)))"
    rf"(\s*(?={_WORD}|\())?"
)
_MATRICES = re.compile(r"@|\.T\b|\^\s*\{?T\b|[\u1d40\u22a4]|\b(?:trace|(?:log)?det|inv)\b")
"""What shows that the capital letters of a text are matrices."""
_DOT = r"(?<=\w)(?<![\W\d]\d)(?<!\A\d)\s*[\u00b7\u2219\u22c5]\s*(?=[^\W\d]\w*\b(?!\())"
"""A product of two names, of numbers or of vectors."""
_CAPITAL = re.compile(r"\b[A-Z]\w*\b(?!\()")
"""A name that may be a matrix."""
_RENAMED = rf"(?<![\w.])(?:{'|'.join(RENAMED)})(?=\s*[(|]|\s+[A-Za-z\d])"
_SUM = r"(?:[\u03a3\u2211]|\bsum(?=\s+[\w|]))\s*"
_TERM = rf"(?!_)(?:[^()\[\]{{}}+\-,;=<>\u03a3\u2211]|{_BRACKETS})+"
_ROOT = rf"\u221a\s*((?>{_BRACKETS}|\d+(?:\.\d+)?|(?a:[A-Za-z_][\w.]*)(?:{_BRACKETS})?))(?!{_POWER_OF}|\w)"
_OPERAND = rf"(?:\d[\w.]*|[A-Za-z_][\w.]*(?:{_BRACKETS})?)"


def _call_functions(match: re.Match[str]) -> str:
    """`sin 2*x` and `log det A` as calls, the innermost first; unclear where it could end later."""
    text, before = match[0], ""
    names = "|".join(name for name in function_names() if len(name) > 1)
    power = rf"(?: ?(?:\*\*|\^) ?-?{_OPERAND})*"
    argument = rf"(?>(?!\d[\d.]* ?[-+])-?(?:\d[\d.]* ?\* ?(?=[A-Za-z]))?(?!(?:{names})\b(?!\()){_OPERAND}{power})"
    after = rf"(?! ?[*/@\[]| +(?!(?:{names}|if|else|and|or)\b)[\w(])"
    while text != before:
        before, text = text, re.sub(rf"\b({names}) +({argument}){after}", r"\1(\2)", text)
    return re.sub(rf"\b(?:{names}) +(?={_WORD}|\d)", UNCLEAR, text)


def _without_definition(match: re.Match[str]) -> str:
    """`f(x) =` left out, unless f is a function: `sum(x) = 3` is a comparison."""
    return match[0] if match[1] in function_names() else ""


def _function_power(match: re.Match[str]) -> str:
    """`sin^2(x)` as sin(x)**2, and `tanh^-1(x)` as atanh(x)."""
    name, power, argument = match.groups()
    if name not in function_names():
        return match[0]
    power = re.sub(_FOREIGN, lambda char: FOREIGN[char[0]], power).lstrip("^* ")
    argument = argument if argument.startswith("(") else f"({argument})"
    if power == "-1" and f"a{name}" in function_names():
        return f"a{name}{argument}"
    return f"{name}{argument}**{power}"


def _after(word: str | None, call: str) -> str:
    """A call after a word without an operator: the word's argument, or its factor."""
    return f"{word}({call})" if word in function_names() else f"{word}*{call}" if word else call


def _absolute(match: re.Match[str]) -> str:
    """`|x|` as a call; of a matrix it is the determinant."""
    matrix = re.fullmatch(r"[A-Z]\w*", match[2])
    return UNCLEAR if matrix else _after(match[1], f"abs({match[2]})")


def _norm(match: re.Match[str]) -> str:
    """`||x||_1` and `||x||^2_2` as calls; the orders 2 and F are what norm computes anyway."""
    order = match[4] or "2"
    called = f"norm({match[2]}{'' if order in ('2', 'F') else f', {order}'})"
    return _after(match[1], called + (match[3] or ""))


def _without_inputs(match: re.Match[str]) -> str:
    """`at x=3` left out, and `x=3` if it is not in brackets."""
    before = match.string[: match.start()]
    inside = sum(map(before.count, "([{")) > sum(map(before.count, ")]}"))
    return match[0] if inside and not match[1] else ""


def _transpose(match: re.Match[str]) -> str:
    """`A^T` as A.T, and as a factor of what follows without an operator."""
    return match[1] + (".T" if match[2] is None else ".T @ ")


def _inverse(match: re.Match[str]) -> str:
    """`A^-1` among matrices as inv(A), and as a factor of what follows without an operator."""
    if not _MATRICES.search(match.string):
        return match[0] if match[2] is None else UNCLEAR
    inside = match[1] if match[1].startswith("(") else f"({match[1]})"
    return f"inv{inside}" + ("" if match[2] is None else " @ ")


def _root(match: re.Match[str]) -> str:
    """A root of one number, name, call or pair of brackets."""
    return f"sqrt{match[1]}" if match[1].startswith("(") else f"sqrt({match[1]})"


def _sum(match: re.Match[str]) -> str:
    """The sum of a term: of one in brackets without a second pair."""
    term = match[1].strip()
    return f"sum{term}" if re.fullmatch(_BRACKETS, term) else f"sum({term})"


def _juxtaposed(match: re.Match[str]) -> str:
    """Two names side by side: a product, of matrices if there are any."""
    if _MATRICES.search(match.string):
        return " @ "
    capital = re.search(r"\b[A-Z]\w*\Z", match.string[: match.start()])
    number = re.match(r"(?:sum|mean|norm)\(", match.string[match.end() :])
    return UNCLEAR if capital and not number else "*"


def _after_bracket(match: re.Match[str]) -> str:
    """A product with what stands in brackets: with @ of a matrix and a name, else unclear beside one."""
    text, after = match.string, match.string[match.end() :]
    matrices = _MATRICES.search(text) is not None
    if not (matrices or _CAPITAL.search(text)) or re.match(r"\d|(?:sum|mean|norm)\(", after):
        return ")*"
    group = re.search(rf"(?<!\w)({_BRACKETS})\Z", text[: match.start() + 1])
    of_matrices = group is not None and _MATRICES.search(group[1])
    named = re.match(r"[A-Za-z]\w*\b(?!\()" if of_matrices else "[A-Z]", after)
    return ") @ " if matrices and named else UNCLEAR


def _close(match: re.Match[str]) -> str:
    """The text with the brackets that were never closed."""
    text, missing = match[0], ""
    for char in text:
        if char in "([{":
            missing = {"(": ")", "[": "]", "{": "}"}[char] + missing
        elif missing.startswith(char):
            missing = missing[1:]
    return text.rstrip() + missing


_CORRECTIONS: tuple[tuple[str, str | Callable[[re.Match[str]], str], str], ...] = (
    (_RENAMED, lambda match: RENAMED[match[0]], "unknown function {found}"),
    (r"\b(?:D_)?KL\s*\(\s*(\w+)\s*\|\|\s*(\w+)\s*\)", r"sum(\1*log(\1/\2))",
     "a divergence is written sum(p*log(p/q))"),
    (r"\\sum(?:[_^](?:\{[^{}]*\}|\w))*\s*", "\u2211", "a sum is written sum(...)"),
    (r"(?<=[-+*/=])\s*\[([^\[\],;:]+)\](?!\s*\[)", r"(\1)", "what belongs together is put in round brackets"),
    (r"([^\W_])(?=[\u221a\u03a3\u2211])", r"\1 ", "a product is written with *"),
    (_SUM + rf"({_BRACKETS}{_POWER_OF}?)(?=\s*(?:[-+/),;\]]|\Z))", _sum, "a sum is written sum(...)"),
    (_SUM + rf"({_TERM})(?=[),;\]]|\Z)", _sum, "a sum is written sum(...)"),
    (_SUM, UNCLEAR, "a sum is written with brackets around what is added: sum(x + y), or sum(x) + y"),
    (_ROOT, _root, "a root is written sqrt(...)"),
    (r"\u221a", UNCLEAR, "a root is written with brackets: sqrt(2)*x, or sqrt(2*x)"),
    (_INVERSE, _inverse, "the inverse of a matrix is written inv(A), as in inv(A) @ b"),
    (r"\u03c3(?=\s*\()", "sigmoid", "the logistic function is written sigmoid(...)"),
    (r"([^\W_])?\u03c0([^\W_]|\()?", lambda match: "*".join(filter(None, (match[1], "\u03c0", match[2]))),
     "a product is written with *"),
    (_FUNCTION_POWER, _function_power, "a power of a function is written after its brackets"),
    (r"\b([A-Za-z]\w+)['\u2032]+(?=\s*\()", lambda match: match[1] if match[1] in function_names() else match[0],
     "the command takes the derivative; the expression is only the function"),
    (_TRANSPOSED, _transpose, "a transposed matrix is written A.T"),
    (f"[{''.join(GREEK)}]", lambda match: GREEK[match[0]], "Greek letters are written as names"),
    (_FOREIGN, lambda match: FOREIGN[match[0]], "invalid character {name}"),
    (r"\A\s*([A-Za-z]\w*)\s*\(\s*[A-Za-z]\w*(?:\s*,\s*[A-Za-z]\w*)*\s*\)\s*:?=(?!=)\s*", _without_definition,
     "an expression is only the right-hand side"),
    (r"(?:\s+(at|for|where|when|with|given)\s+|(?<=[\w)\]])(?:\s*,\s*|\s+(?=[A-Za-z]\w*=\S)))"
     r"(?:[A-Za-z]\w*\s*=\s*[^=,;\s]+(?:\s*(?:,|;|and\b)\s*|\s*))+\Z", _without_inputs,
     "inputs come after the expression, each as a separate word: {inputs}"),
    (r"\bd\s*/\s*d[A-Za-z]\w*\s+", "", "the command takes the derivative; the expression is only the function"),
    (r"\blambda\b(?!\s*\w*\s*(?:,|:))", "lambda_", "lambda is a Python keyword"),
    (r"\$|(?<!\w)`|`(?!\w)", "", "quote the expression to protect it from the shell"),
    (r"\\(?:cdot|times)\b", "*", "LaTeX is not supported"),
    (r"\\frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}", r"((\1)/(\2))", "LaTeX is not supported"),
    (r"\\([A-Za-z]+)", r"\1", "LaTeX is not supported"),
    (r"\^\s*\{([^{}]*)\}", r"**(\1)", "LaTeX is not supported: a power is written **"),
    (_BEFORE + r"(?:\|\||\\\|)\s*([^|]+?)\s*(?:\|\||\\\|)(?:" + _POWER + r"?_\{?(\w+)\}?)?", _norm,
     "a norm is written norm(...)"),
    (_BARS, _absolute, "an absolute value is written abs(...), a determinant det(...)"),
    (_CONDITION + "&&" + _CONDITION, r"(\1) & (\2)", "a logical and is written &"),
    (_CONDITION + r"\|\|" + _CONDITION, r"(\1) | (\2)", "a logical or is written |"),
    (r"<>", "!=", "not equal is written !="),
    (r"=<", "<=", "at most is written <="),
    (r"=>", ">=", "at least is written >="),
    (r"= ?==?", "==", "equal is written =="),
    (r"([^?]+)\?([^?:]+):(.+)", r"where(\1, \2, \3)", "a choice is written where(condition, this, that)"),
    (r"(\w+|\([^()]*\))\s*!(?!=)", r"exp(lgamma(\1 + 1))", "a factorial is written exp(lgamma(n + 1))"),
    (r"!(?!=)", "~", "a logical not is written ~"),
    (r"([\w)\]])'(?!\s*\()(\s*(?=" + _WORD + "))?", _transpose, "a transposed matrix is written A.T"),
    (_NUMBER + r"\s*(?=\(|" + _WORD + ")", r"\1*", "a product is written with *"),
    (r"(?s)\A.*\Z", _call_functions, "a function takes its argument in brackets, as in sin(2*x)"),
    (r"\)\s*(?=" + _WORD + r"|[\d(])", _after_bracket, "a product is written with *, of matrices with @"),
    (r"(?<=\w)\s+(?=" + _WORD + ")", _juxtaposed, "a product is written with *, of matrices with @"),
    (r"(?s)\A.*\Z", _close, "a bracket was never closed"),
    (r"(?<![=!<>:*/%@&|^+-])=(?!=)", "==", "equal is written =="),
)  # fmt: skip
"""A pattern of what people type, its replacement, and the message."""

_POWERS = re.compile(r"\^\s*-?\d|\be\s*\^|\A[^<>&|~=!]*\Z")
"""Where every `^` means a power: at numbers, and where nothing is compared."""


def transposed(text: str) -> str:
    """`text` with `A^T` as A.T."""
    return re.sub(_TRANSPOSED, _transpose, text)


def powers(text: str) -> str:
    """`text` with every `^` as the power that was meant, and with functions applied to what books
    write after them: sin^2(x), log|x|.
    """
    known = function_names()
    text = re.sub(_FUNCTION_POWER, _function_power, text)
    text = re.sub(_BARS, lambda bars: _absolute(bars) if bars[1] in known else bars[0], text)
    text = re.sub(r"\^\s*\{([^{}]*)\}", r"^(\1)", re.sub(_INVERSE, _inverse, text))
    exponent = r"(?:\(([^()]*)\)|(-?[\w.]+(?:\([^()]*\))?|-\([^()]*\)))(?![\w.(]|\s*(?:\*\*|\^))"
    return re.sub(r"\be(?:xp)?\s*\^\s*" + exponent, r"exp(\1\2)", text).replace("^", "**")


_LONGEST = 500
"""The longest text to correct: some patterns take quadratic time."""


def parses(text: str) -> bool:
    """Whether Python reads `text`."""
    with warnings.catch_warnings(action="ignore"):
        try:
            ast.parse(text)
        except (SyntaxError, ValueError, OverflowError, RecursionError, MemoryError):
            return False
    return True


def correction(text: str, reads: Callable[[str], bool]) -> tuple[str, str]:
    """What is wrong with `text`, and the corrected text that `reads` accepts; without one, the
    second is empty, and so is the first unless a rule knows what was typed.
    """
    if len(text) > _LONGEST:
        return "", ""
    if re.search(_DOT, text):
        forms = [_readable(re.sub(_DOT, sign, text), reads) for sign in ("*", " @ ")]
        both = ", or of vectors and matrices ".join(forms) if all(forms) else ""
        return "a product is written with *, of vectors and matrices with @", both
    message = known = ""
    for pattern, replacement, sentence in _CORRECTIONS:
        match, before = re.search(pattern, text), text
        text = re.sub(pattern, replacement, text) if match else text
        if match and text != before:
            message = message or sentence.format(
                name=_name(match[0]), inputs=_inputs(match[0]), found=match[0]
            )
            if UNCLEAR in text:
                return sentence, ""
            if text.isascii() and parses(text):
                corrected = powers(text) if _POWERS.search(text) else text
                if reads(corrected):
                    return message, corrected
                known = message
    return known, ""


def _readable(text: str, reads: Callable[[str], bool]) -> str:
    """`text`, or its correction, if `reads` accepts it."""
    if text.isascii() and parses(text) and reads(text):
        return text
    return correction(text, reads)[1]


def ascii_name(name: str) -> str:
    """A name with its Greek letters written out; empty if other letters are not ASCII."""
    written = "".join(GREEK.get(char, char) for char in name)
    return written if written.isascii() else ""


def _inputs(text: str) -> str:
    """`at x=3, w = 2` as words of a command line."""
    return " ".join(map("=".join, re.findall(r"([A-Za-z]\w*)\s*=\s*([^=,;\s]+)", text)))


def _name(char: str) -> str:
    """The number and the Unicode name of the first character."""
    return f"U+{ord(char[0]):04X} {unicodedata.name(char[0], 'unnamed character').lower()}"
