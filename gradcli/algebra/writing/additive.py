"""Sums of terms and elementwise functions as text."""

from fractions import Fraction
from itertools import combinations
from typing import TYPE_CHECKING

from gradcli.algebra.elementwise import negated
from gradcli.algebra.indices import opened, rename
from gradcli.algebra.indices import sigma as summed
from gradcli.algebra.nodes import ONE, ZERO, Dim, Node, fresh, magnitude
from gradcli.algebra.products import divide, neg, powers, scale
from gradcli.algebra.products import mul as multiplied
from gradcli.algebra.terms import Term, combine, parts, terms
from gradcli.algebra.writing import layouts, summing
from gradcli.algebra.writing.layouts import Axes, Binds, Text, broadcast, shortest, spelled

if TYPE_CHECKING:
    from gradcli.algebra.writing.writer import Writer

_INFIX = {
    **dict.fromkeys(("==", "!=", "<", "<=", ">", ">="), Binds.COMPARE),
    "&": Binds.SUM,
    "|": Binds.SUM,
}
_TURNED = (".T", ".mT", ".transpose(", ".permute(")
_CONSTANTS = ("pi", "inf", "-inf", "nan")


def add(w: "Writer", node: Node, axes: Axes) -> Text:
    """A sum of terms."""
    constant, found = node.data
    ((first, each), *more) = found.items()
    if not more and (constant, each) == (1, -1) and first.is_fn("sigmoid"):
        inner = w.write(neg(first.argument), axes)  # 1 - sigmoid(u) as sigmoid(-u)
        return Text(f"sigmoid({inner.text})", layout=inner.layout)
    plain = total(w, terms(node), axes)
    texts = []
    if sum(map(plain.text.count, _TURNED)) > 1 and plain.layout == axes:
        for left, right in combinations(axes, 2):
            order = tuple({left: right, right: left}.get(index, index) for index in axes)
            turned = total(w, terms(node), order)
            if turned.layout == order:
                texts.append(w.laid(turned, order, axes))  # (A - B).T before A.T - B.T
    texts.append(plain)
    one = as_one_sum(node)
    if one is not None:
        texts += summing.reduced(w, *one, axes, "sum")
    return layouts.by_matrices(plain, len(terms(node)), shortest(texts))


def total(w: "Writer", items: list[Term], axes: Axes) -> Text:
    """Terms with their signs, those with a plus first."""
    (each, first), (constant, last) = items[0], items[-1]
    before = each < 0 or (first.kind in ("mul", "fn") and len(items) == 2)
    if last is ONE and constant > 0 and before:
        items = [items[-1], *items[:-1]]
    items = sorted(items, key=lambda it: it[0] < 0)
    written = [w.write(scale(magnitude(each), term), axes).as_float for each, term in items]
    text = ""
    for (each, _), term in zip(items, written, strict=True):
        operand = term.within(Binds.SUM if each > 0 else Binds.PRODUCT)
        sign = (" + " if each > 0 else " - ") if text else ("" if each > 0 else "-")
        text += f"{sign}{operand}"
    return Text(text, Binds.SUM, broadcast([term.layout for term in written]))


def as_one_sum(node: Node) -> tuple[dict[int, Dim], Node] | None:
    """sum(x) - len(x)*m as the sum of x - m: the index, and the elements; None for another form."""
    items = terms(node)
    factors = [each for _, term in items for each in powers(term)[1]]
    sums = [base for base, by in factors if base.kind == "sigma" and by is ONE]
    for dim in dict.fromkeys(dim.root for base in sums for _, dim in base.data[0]):
        index = fresh()
        bodies = [(each, _without_sum(term, dim, index)) for each, term in items]
        found = [(each, body) for each, body in bodies if body is not None]
        free = [body.free for _, body in found]
        everything = frozenset[int]().union(*free)
        # A term with further indices would make a larger tensor than the sums apart.
        whole = all(own == everything for own in free if index in own)
        if len(found) == len(items) and index in everything and whole:
            return {index: dim}, combine(found)
    return None


def _without_sum(term: Node, dim: Dim, index: int) -> Node | None:
    """What a term is the sum of, along a side: a sum over it, or a product with its size."""
    factors = [base for base, by in powers(term)[1] if by is ONE]
    for base in factors:
        if base.kind == "size" and base.data.root is dim:
            return divide(term, base)
    for base in factors:
        if base.kind == "sigma":
            over, body = opened(base)
            mine = next((i for i, d in over.items() if d.root is dim), None)
            if mine is not None:
                del over[mine]
                return multiplied(divide(term, base), summed(over, rename(body, {mine: index})))
    return scale(Fraction(1, dim.size), term) if dim.fixed else None


def fn(w: "Writer", node: Node, axes: Axes) -> Text:
    """An elementwise function."""
    name, arguments, settings = node.data
    if name in _CONSTANTS:
        return Text(name, Binds.SIGN if name[0] == "-" else Binds.ATOM)
    if name == "exp" and arguments == (ONE,) and "e" not in w.tensors:
        return Text("e")  # an input of that name would hide it
    if name == "where" and arguments[1:] in ((ONE, ZERO), (ZERO, ONE)):
        condition = arguments[0] if arguments[1] is ONE else negated(arguments[0])
        return w.write(condition, axes)
    if name in ("maximum", "minimum") and any(each.kind == "num" for each in arguments):
        return _clamp(w, node, axes)
    coefficient, sum_ = parts(arguments[0])
    if name in _INFIX and sum_.kind == "add" and arguments[1] is ZERO:
        # a > b instead of a - b > 0
        signed = [(coefficient * each, term) for each, term in terms(sum_)]
        above = combine([(each, term) for each, term in signed if each > 0])
        arguments = (above, combine([(-each, term) for each, term in signed if each < 0]))
    texts = [w.write(argument, axes) for argument in arguments]
    layout = broadcast([text.layout for text in texts])
    if name in _INFIX:
        left, right = (text.within(_INFIX[name] + 1) for text in texts)
        return Text(f"{left} {name} {right}", Binds.COMPARE, layout)
    if name == "detach":
        return texts[0]
    listed = [*(text.text for text in texts), *(f"{key}={value!r}" for key, value in settings)]
    return Text(f"{name}({', '.join(listed)})", layout=layout)


def _clamp(w: "Writer", node: Node, axes: Axes) -> Text:
    """The larger or smaller of a tensor and a number: torch.maximum takes tensors only."""
    bounds: dict[str, str] = {}
    while node.is_fn("maximum", "minimum"):
        key = "min" if node.data[0] == "maximum" else "max"
        bound = next((each for each in node.data[1] if each.kind == "num"), None)
        if bound is None or key in bounds or (key == "max" and bounds):
            break
        bounds[key] = spelled(bound.data).text
        node = next(each for each in node.data[1] if each is not bound)
    inner = w.write(node, axes)
    listed = [f"{key}={text}" for key, text in bounds.items()]
    if len(bounds) == 2:
        listed = [bounds["min"], bounds["max"]]
    return Text(f"clamp({', '.join([inner.text, *listed])})", layout=inner.layout)
