"""Products and powers as text: quotients, means, outer products, roots and norms."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from gradcli.algebra import nodes
from gradcli.algebra.nodes import ONE, Dim, Node, Number, Power, num, number, ratio
from gradcli.algebra.products import powers, product, scale, without
from gradcli.algebra.signs import is_negative
from gradcli.algebra.terms import terms
from gradcli.algebra.writing import additive, summing
from gradcli.algebra.writing.layouts import Axes, Binds, Text, broadcast, decimal, shortest, spelled
from gradcli.language.assignment import in_expression

if TYPE_CHECKING:
    from gradcli.algebra.writing.writer import Writer

Instead = Mapping[Node, Text]
"""Factors that are written in another way."""


def mul(w: "Writer", node: Node, axes: Axes) -> Text:
    """A product, in the shortest of its ways."""
    coefficient, found = node.data
    items = list(found.items())
    if len(items) == 1 and coefficient == 1:
        ((base, by),) = items
        return power(w, base, by, axes)
    texts = [_quotient(w, coefficient, items, axes, {})]
    for base, by in items:
        if by is not ONE:
            continue
        if base.kind == "sigma" and not w.write(base, axes).chain:
            over, body = w.open(base)
            for sides, mean in summing.wholes(w, over, body, axes, "mean"):
                rest = _divided(items, sides)
                # A sum over Y.numel() is plainer than the mean of some sides over the others' sizes.
                whole = len(sides) == len(base.data[0])
                if rest is not None and (whole or all(each.kind != "size" for each, _ in rest)):
                    texts.append(_quotient(w, coefficient, rest, axes, {base: mean}))
        one = additive.as_one_sum(base) if base.kind == "add" else None
        if one is not None:
            rest = _divided(items, list(one[0].values()))
            for reduction, left in (("sum", items), ("mean", rest)):
                sums = [] if left is None else list(summing.reduced(w, *one, axes, reduction))
                if left is not None and sums:
                    texts.append(_quotient(w, coefficient, left, axes, {base: shortest(sums)}))
    if len(axes) == 2:
        texts += _outer(w, coefficient, items, axes)
    texts += _rescaled(w, coefficient, items, axes)
    return shortest(texts)


def _rescaled(
    w: "Writer", coefficient: Number, items: Sequence[Power], axes: Axes
) -> Iterator[Text]:
    """Sums with a factor taken in, if that makes the number before them shorter: 2*(x - 0.1) for
    (10*x - 1)/5, and x/2 + y/3 for (3*x + 2*y)/6.
    """
    for base, by in items:
        times = nodes.whole(by)
        if base.kind != "add" or not times:
            continue
        found = terms(base)
        units = [nodes.magnitude(found[0][0]), *([ratio(1, coefficient)] if times == 1 else [])]
        for unit in units:
            rest = ratio(coefficient * Fraction(unit) ** times, 1)
            if unit == 1 or len(decimal(rest)) > len(decimal(coefficient)):
                continue
            text = additive.total(w, [(ratio(each, unit), term) for each, term in found], axes)
            if abs(times) != 1:
                text = Text(f"({text.text})**{abs(times)}", Binds.POWER, text.layout)
            yield _quotient(w, rest, items, axes, {base: text})
            if rest.denominator == 1:
                break


def _divided(items: Sequence[Power], sides: Iterable[Dim]) -> list[Power] | None:
    """The factors left if a sum along some sides, divided by their sizes, becomes a mean."""
    rest = list(items)
    for dim in sides:
        place = next(
            (i for i, (b, e) in enumerate(rest)
             if b.kind == "size" and b.data is dim.root and is_negative(e) and e.data <= -1), None
        )  # fmt: skip
        if place is None:
            return None
        base, by = rest[place]
        rest[place : place + 1] = [] if nodes.is_num(by, -1) else [(base, num(by.data + 1))]
    return rest


def _quotient(
    w: "Writer", coefficient: Number, items: Sequence[Power], axes: Axes, instead: Instead
) -> Text:
    """Factors as a product over a product: numbers and one-number factors before a chain."""
    items, counted = _counted(w, items)
    ranked = [(inverse, 1, text) for inverse, text in counted]
    sigmoids = {base for base, _ in items if base.is_fn("sigmoid")}
    for base, by in items:
        if base.kind == "size" and base.data.is_number:
            value = number(product(1, [(num(base.data.size), by)]))
            if value is not None:
                coefficient *= value
                continue
        inverse = _is_inverse(by)
        total = base.kind == "add" and by is ONE
        if base in instead:
            text = instead[base]
        elif total and coefficient < 0 and min(base.data[1].values()) < 0:
            coefficient = -coefficient
            text = additive.total(w, [(-each, term) for each, term in terms(base)], axes)
        elif total and not sigmoids.isdisjoint(base.data[1]):
            text = additive.total(w, terms(base), axes)  # s*(1 - s)
        else:
            text = power(w, base, scale(-1, by) if inverse else by, axes)
        ranked.append((inverse, _rank(base, text), text))
    ranked.sort(key=lambda it: it[1])
    chains = [text for inverse, _, text in ranked if text.chain and not inverse]
    others = [text for inverse, _, text in ranked if not text.chain and not inverse]
    bottom = [text for inverse, _, text in ranked if inverse]
    over, _, under = decimal(nodes.magnitude(coefficient)).partition("/")
    lead = [] if over == "1" else [over]
    divisors = [*([under] if under else []), *(text.within(Binds.POWER) for text in bottom)]
    top = [*others, *chains]
    if not lead and top:
        # PyTorch neither negates truth values nor gives a product of them as a float.
        all_truths = all(text.is_truth for text in top) and not divisors
        if all_truths or (top[0].is_truth and coefficient < 0):
            lead = ["1.0"]
        elif len(top) == 1 and coefficient > 0 and not divisors:
            return top[0]
    divided = "*".join(divisors)
    divided = f"/({divided})" if len(divisors) > 1 else f"/{divided}" if divisors else ""
    front = [*lead, *(text.within(Binds.POWER) for text in others)]
    alone = len(chains) == 1
    chain = alone and not any(text.layout for text in (*others, *bottom))
    if chain and divisors and front:
        found = f"{'*'.join(front)}{divided}*{chains[0].text}"
    else:
        bare = chain or (alone and not front)
        behind = [text.text if bare else f"({text.text})" for text in chains]
        found = f"{'*'.join([*front, *behind]) or '1'}{divided}"
    layout = broadcast([text.layout for _, _, text in ranked])
    binds = Binds.SIGN if coefficient < 0 and not chain else Binds.PRODUCT
    return Text(f"-{found}" if coefficient < 0 else found, binds, layout, chain)


def _counted(
    w: "Writer", items: Sequence[Power]
) -> tuple[Sequence[Power], list[tuple[bool, Text]]]:
    """The sizes of all sides of an input as Y.numel(): the other factors, and the texts."""
    found = []
    for exponent in (1, -1):
        sizes = {b.data: b for b, e in items if b.kind == "size" and nodes.is_num(e, exponent)}
        for name, sides in w.tensors.items() if len(sizes) > 1 else ():
            roots = [dim.root for dim in sides if dim is not None]
            if 1 < len(roots) == len(set(roots)) and sizes.keys() >= set(roots):
                items = without(items, *(sizes[root] for root in roots))
                found.append((exponent < 0, Text(f"{in_expression(name)}.numel()")))
                break
    return items, found


def _outer(w: "Writer", coefficient: Number, items: Sequence[Power], axes: Axes) -> Iterator[Text]:
    """u_i*v_j as outer(u, v), and u_i*delta_ij as diag(u)."""
    i, j = axes
    sides: dict[frozenset[int | None], list[Power]] = {}
    for base, by in items:
        sides.setdefault((base.free | by.free) & {i, j}, []).append((base, by))
    none, rows, columns, both = (sides.get(frozenset(key), []) for key in ((), (i,), (j,), (i, j)))
    unit = len(both) == 1 and both[0][0].kind == "delta" and both[0][1] is ONE
    if unit and not (rows and columns):
        inner = product(coefficient, [*none, *rows, *columns])
        (index,) = inner.free & {i, j} or {i}
        vector = w.write(inner, (index,))
        if vector.layout:
            yield Text(f"diag({vector.text})", layout=axes)
    if not rows or not columns:
        return
    if both:
        inner = product(1, [*rows, *columns])
        for outer in _outer(w, 1, powers(inner)[1], axes):
            name = w.stand_in(inner)
            factors = [(name, ONE), *none, *both]
            yield _quotient(w, coefficient, factors, axes, {name: outer})
        return
    first, second = product(1, rows), product(1, columns)
    left, right = w.write(first, (i,)), w.write(second, (j,))
    text = f"outer({left.text}, {right.text})"
    above, below = _halves(product(nodes.magnitude(coefficient), none))
    before = w.write(above, ()).as_float if coefficient < 0 else w.write(above, ())
    front = "" if above is ONE else f"{before.within(Binds.PRODUCT)}*"
    under = "" if below is ONE else f"/{w.write(below, ()).within(Binds.POWER)}"
    sign = "-" if coefficient < 0 else ""
    plain = Binds.ATOM if not front and not under else Binds.PRODUCT
    yield Text(f"{sign}{front}{text}{under}", Binds.SIGN if sign else plain, axes)
    # x @ y.T of columns, x.T @ y of rows
    for a, b in (((i, None), (j, None)), ((None, i), (None, j))):
        left, right = w.write(first, a), w.write(second, b)
        if (left.layout, right.layout) == (a, b):
            column, row = left.within(Binds.POWER), right.within(Binds.POWER)
            text = f"{column} @ {right.atom}.T" if b[1] is None else f"{left.atom}.T @ {row}"
            yield Text(f"{sign}{front}{text}{under}", Binds.PRODUCT, axes, chain=True)


def power(w: "Writer", base: Node, by: Node, axes: Axes) -> Text:
    """A power: roots, norms, reciprocals."""
    if by is ONE:
        return w.write(base, axes)
    value = number(by)
    if value is not None and value < 0:
        below = power(w, base, num(-value), axes)
        return Text(f"1/{below.within(Binds.POWER)}", Binds.PRODUCT, below.layout)
    if value is not None and value.denominator == 2:
        norm = summing.norm(w, base, axes)
        inner = norm or w.write(base, axes)
        if value.numerator == 1:
            return norm or Text(f"sqrt({inner.text})", layout=inner.layout)
        raised = value.numerator if norm else float(value)
        return Text(f"{inner.atom}**{raised}", Binds.POWER, inner.layout)
    inner = w.write(base, axes)
    exponent = w.write(by, axes) if value is None else spelled(value)
    up = exponent.within(Binds.SIGN if value is None or value.denominator == 1 else Binds.ATOM)
    return Text(f"{inner.atom}**{up}", Binds.POWER, broadcast([inner.layout, exponent.layout]))


def _halves(node: Node) -> tuple[Node, Node]:
    """The numerator and the denominator of a product."""
    coefficient, factors = powers(node)
    above = product(coefficient.numerator, [(b, e) for b, e in factors if not _is_inverse(e)])
    under = [(base, scale(-1, by)) for base, by in factors if _is_inverse(by)]
    return above, product(coefficient.denominator, under)


def _is_inverse(by: Node) -> bool:
    """Whether a power is written below the line."""
    return is_negative(by) or (by.kind == "mul" and bool(by.data[0] < 0))


def _rank(base: Node, text: Text) -> int:
    """The order of factors: short names, then powers and functions, then sums in brackets."""
    if base.kind == "size":
        return 1
    if base.kind == "sym":
        return 3 if text.layout else 2
    return 5 if text.binds < Binds.PRODUCT else 4
