"""Formulas as text: index notation written as PyTorch's expressions of whole tensors.

Every node is written for the axes that are asked for, in their order. What comes out has a layout:
an index for each of its axes, or None for one of size 1, so that it broadcasts to those axes.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import combinations, permutations
from typing import Any, NamedTuple

from gradcli.algebra.adjoint import NoRule
from gradcli.algebra.nodes import (
    Dim,
    Index,
    Node,
    Number,
    Power,
    arguments_of,
    combine,
    count_of,
    divide,
    fresh,
    is_num,
    mul,
    neg,
    num,
    number,
    opened,
    power,
    powers,
    product,
    ratio,
    rename,
    scale,
    sigma,
    sym,
)

Axes = tuple[int | None, ...]
Layout = tuple[int | None, ...]

COMPARE, SUM, PRODUCT, SIGN, POWER, ATOM = range(1, 7)
"""How tightly a text binds."""


class Text(NamedTuple):
    """A text, how tightly it binds, its layout, and whether it is a chain of `@`."""

    text: str
    binds: int
    layout: Layout = ()
    chain: bool = False

    def within(self, binds: int) -> str:
        """The text as an operand that must bind at least so tightly."""
        return self.text if self.binds >= binds else f"({self.text})"

    @property
    def atom(self) -> str:
        """The text before a dot or a bracket."""
        return self.within(ATOM)


_INFIX = {"==": "==", "!=": "!=", "<": "<", "<=": "<=", ">": ">", ">=": ">=", "&": "&", "|": "|"}
_CONSTANTS = {"pi": "pi", "inf": "inf", "-inf": "-inf", "nan": "nan"}


_AXES = 6
"""Axes that elements are written out along before they are summed, at most, unless an input has more."""


class Writer:
    """Writes formulas; `tensors` are the sides of the inputs."""

    def __init__(self, tensors: Mapping[str, Sequence[Dim | None]]) -> None:
        self._tensors = tensors
        self._done: dict[tuple[Node, Axes], Text] = {}
        self._opened: dict[Node, Any] = {}
        self._inner: dict[str, tuple[tuple[int, ...], Node]] = {}
        self._looked_up: dict[str, Text] = {}
        self._like = ""

    def tensor(self, node: Node, axes: Axes, like: str) -> str:
        """A formula in the shape of the tensor `like`, which has these axes."""
        self._like = like
        value = number(node)
        if value is not None and axes:
            if value in (0, 1):
                return f"{'ones' if value else 'zeros'}_like({like})"
            return f"full_like({like}, {_decimal(value)})"
        text = self.write(node, axes)
        if text.binds == COMPARE:
            text = Text(f"1.0*({text.text})", PRODUCT, text.layout)
        if text.layout == axes or not like:
            return text.text
        if not text.layout and text.binds >= PRODUCT and not text.chain:
            return f"{text.text}*ones_like({like})"
        return f"{text.atom}.expand_as({like})"

    def write(self, node: Node, axes: Axes) -> Text:
        """A node for these axes, of which it may lack some. Raises NoRule."""
        axes = axes[next((i for i, a in enumerate(axes) if a in node.free), len(axes)) :]
        key = (node, axes)
        if key not in self._done:
            self._done[key] = self._write(node, axes)
        return self._done[key]

    def _write(self, node: Node, axes: Axes) -> Text:
        match node.kind:
            case "num":
                return _number(node.data)
            case "size":
                return Text(self.size(node.data), ATOM)
            case "sym":
                return self._sym(node, axes)
            case "delta":
                return self._delta(node, axes)
            case "add":
                return self._add(node, axes)
            case "mul":
                return self._mul(node, axes)
            case "fn":
                return self._fn(node, axes)
            case "sigma":
                return self._sigma(node, axes, self._summed)
        return self._call(node, axes)

    def _open(self, node: Node) -> tuple[dict[int, Dim], Node]:
        """A sum opened, always in the same way, so that its parts are written once."""
        if node not in self._opened:
            self._opened[node] = opened(node)
        over, body = self._opened[node]
        return dict(over), body

    # --- leaves ---------------------------------------------------------------------------------

    def size(self, dim: Dim) -> str:
        """The size of a side: `len(y)`, `X.shape[1]`, or its number."""
        dim = dim.root
        if dim.fixed or not dim.places:
            return str(dim.size)
        name, axis, _ = min(
            dict.fromkeys(dim.places), key=lambda it: (it[1] > 0, it[2], len(it[0]))
        )
        return f"{name}.shape[{axis}]" if axis else f"len({name})"

    def _sym(self, node: Node, axes: Axes) -> Text:
        name, indices = node.data
        if name in self._inner:
            own, inner = self._inner[name]
            return self.write(rename(inner, dict(zip(own, indices, strict=True))), axes)
        if name in self._looked_up:
            return self._laid(self._looked_up[name], tuple(indices), axes)
        text, binds = name, ATOM
        if () in indices:
            own = tuple(index if isinstance(index, int) else None for index in indices)
            wanted = axes[len(axes) - len(own) :] if len(own) <= len(axes) else (*axes, -1)
            if all(mine in (None, asked) for mine, asked in zip(own, wanted, strict=False)) and (
                all(isinstance(index, int) or index == () for index in indices)
                and len(own) <= len(axes)
            ):
                return Text(name, ATOM, own)
            indices = tuple(
                index or (0,) if isinstance(index, tuple) else index for index in indices
            )
        if any(isinstance(index, tuple) for index in indices):
            places = [str(index[0]) if isinstance(index, tuple) else ":" for index in indices]
            while places[-1] == ":":
                places.pop()
            text = f"{name}[{', '.join(places)}]"
        own = [index for index in indices if isinstance(index, int)]
        if len(set(own)) < len(own):
            if len(own) != 2:
                raise NoRule("no short text for a diagonal")
            text, own = f"{text}.diagonal()", own[:1]
        return self._laid(Text(text, binds), tuple(own), axes)

    def _laid(self, text: Text, own: Axes, axes: Axes) -> Text:
        """A text whose axes are `own`, for the axes that are asked for."""
        if not own:
            return text
        order = tuple(index for index in axes if index in own)
        if len(order) < len(own):
            raise NoRule("no short text for these axes")
        turned = text.atom
        if order != own:
            if len(own) == 2:
                turned = turned[:-2] if turned.endswith(".T") else f"{turned}.T"
            elif order[:-2] == own[:-2]:
                turned += ".mT"
            else:
                turned += f".permute({', '.join(str(own.index(index)) for index in order)})"
        first = axes.index(order[0])
        layout = tuple(index if index in own else None for index in axes[first:])
        if None in layout:
            places = [":" if index is not None else "None" for index in layout]
            turned += f"[{', '.join(places)}]"
            if places[-1] == ":" and "None" not in places[1:-1]:
                pass
        elif order == own:
            return text._replace(layout=layout)
        return Text(turned, ATOM, layout)

    def _delta(self, node: Node, axes: Axes) -> Text:
        left, right, dim = node.data
        if isinstance(left, tuple) or isinstance(right, tuple):
            index, (place,) = (right, left) if isinstance(left, tuple) else (left, right)
            place = str(place) if place >= 0 else f"{self.size(dim)} - {-place}"
            text = f"one_hot(tensor({place}), {self.size(dim)})"
            return self._laid(Text(text, ATOM), (index,), axes)
        own = tuple(index for index in axes if index in (left, right))
        return self._laid(Text(f"eye({self.size(dim)})", ATOM), own, axes)

    # --- elementwise ----------------------------------------------------------------------------

    def _add(self, node: Node, axes: Axes) -> Text:
        complement = self._complement(node, axes)
        if complement is not None:
            return complement
        plain = self._total(*node.data, axes)
        found = [plain]
        if len(axes) == 2 and plain.text.count(".T") > 1 and plain.layout == axes:
            turned = self._total(*node.data, axes[::-1])
            if turned.layout == axes[::-1]:
                found.append(Text(f"({turned.text}).T", ATOM, axes))
        as_sum = self._as_one_sum(node)
        if as_sum is not None:
            found += self._one_sum(as_sum, axes, "sum")
        return min(found, key=lambda text: len(text.text))

    def _as_one_sum(self, node: Node) -> tuple[dict[int, Dim], Node] | None:
        """sum(x) - len(x)*m as the sum of x - m: the index, and the elements; None if it is none."""
        constant, terms = node.data
        items = [
            *((each, term) for term, each in terms.items()),
            *([(constant, num(1))] if constant else []),
        ]
        sums = [
            base
            for _, term in items
            for base, by in powers(term)[1]
            if base.kind == "sigma" and is_num(by, 1)
        ]
        for dim in dict.fromkeys(dim.root for base in sums for _, dim in base.data[0]):
            index = fresh()
            bodies = []
            for each, term in items:
                body = _without_sum(term, dim, index)
                if body is None:
                    break
                bodies.append((each, body))
            if len(bodies) == len(items) and any(index in body.free for _, body in bodies):
                return {index: dim}, combine(bodies)
        return None

    def _one_sum(self, found: tuple[dict[int, Dim], Node], axes: Axes, name: str) -> list[Text]:
        over, body = found
        reduce = self._summed if name == "sum" else self._averaged
        return list(self._reduced(over, body, axes, reduce))

    def _complement(self, node: Node, axes: Axes) -> Text | None:
        """1 - sigmoid(u) as sigmoid(-u)."""
        constant, terms = node.data
        ((term, each),) = terms.items() if len(terms) == 1 else ((node, 0),)
        if (constant, each) == (1, -1) and term.kind == "fn" and term.data[0] == "sigmoid":
            inner = self.write(neg(term.data[1][0]), axes)
            return Text(f"sigmoid({inner.text})", ATOM, inner.layout)
        return None

    def _total(self, constant: Number, terms: Mapping[Node, Number], axes: Axes) -> Text:
        items = [(each > 0, power_of(abs(each), term)) for term, each in terms.items()]
        if constant:
            items.append((constant > 0, num(abs(constant))))
            first = next(iter(terms))
            if (terms[first] < 0 and constant > 0) or (
                first.kind in ("mul", "fn") and constant > 0 and len(terms) == 1
            ):
                items = [items[-1], *items[:-1]]
        items.sort(key=lambda it: not it[0])
        written = [(plus, self.write(term, axes)) for plus, term in items]
        written = [
            (plus, _as_float(text) if text.binds == COMPARE else text) for plus, text in written
        ]
        plus, head = written[0]
        text = head.within(SUM) if plus else f"-{head.within(PRODUCT)}"
        for plus, term in written[1:]:
            text += f" + {term.within(SUM)}" if plus else f" - {term.within(PRODUCT)}"
        return Text(text, SUM, _joined([term.layout for _, term in written]))

    def _fn(self, node: Node, axes: Axes) -> Text:
        name, arguments, settings = node.data
        if name in _CONSTANTS and not arguments:
            return Text(name, ATOM if name[0] != "-" else SIGN)
        if name == "where" and is_num(arguments[1], 1) and is_num(arguments[2], 0):
            return self.write(arguments[0], axes)
        if name in _INFIX and arguments[0].kind == "add" and is_num(arguments[1], 0):
            arguments = _sides(arguments[0])
        texts = [self.write(argument, axes) for argument in arguments]
        layout = _joined([text.layout for text in texts])
        if name in _INFIX:
            binds = SUM if name in ("&", "|") else COMPARE
            left, right = (text.within(binds + 1) for text in texts)
            return Text(f"{left} {name} {right}", COMPARE, layout)
        if name == "detach":
            return texts[0]
        if name in ("maximum", "minimum") and any(each.kind == "num" for each in arguments):
            return self._clamp(node, axes)
        listed = [text.text for text in texts]
        listed += [f"{key}={value!r}" for key, value in settings]
        return Text(f"{name}({', '.join(listed)})", ATOM, layout)

    def _clamp(self, node: Node, axes: Axes) -> Text:
        """The larger or smaller of a tensor and a number: torch.maximum takes tensors only."""
        bounds: dict[str, Node] = {}
        while node.kind == "fn" and node.data[0] in ("maximum", "minimum"):
            key = "min" if node.data[0] == "maximum" else "max"
            number_ = next((each for each in node.data[1] if each.kind == "num"), None)
            if number_ is None or key in bounds or (key == "max" and bounds):
                break
            bounds[key] = number_
            node = next(each for each in node.data[1] if each is not number_)
        inner = self.write(node, axes)
        limits = [_number(bounds[key].data).text for key in ("min", "max") if key in bounds]
        if len(limits) == 1:
            limits = [f"{next(iter(bounds))}={limits[0]}"]
        return Text(f"clamp({', '.join([inner.text, *limits])})", ATOM, inner.layout)

    def _mul(self, node: Node, axes: Axes) -> Text:
        candidates = list(self._products(node, axes))
        if not candidates:
            raise NoRule("no short text")
        return min(candidates, key=lambda text: len(text.text))

    def _products(self, node: Node, axes: Axes) -> Iterator[Text]:
        coefficient, factors = node.data
        items = list(factors.items())
        if len(items) == 1 and coefficient == 1:
            yield self._power(*items[0], axes)
            return
        sums = [(base, by) for base, by in items if base.kind == "sigma" and is_num(by, 1)]
        yield self._quotient(coefficient, items, axes, {})
        for base, by in sums:
            mean = None if self.write(base, axes).chain else self._mean_of(base, items)
            if mean is not None:
                rest, write = mean
                yield self._quotient(coefficient, [*rest, (base, by)], axes, {base: write})
        for base, by in items:
            as_sum = self._as_one_sum(base) if base.kind == "add" and is_num(by, 1) else None
            if as_sum is None:
                continue
            (dim,) = as_sum[0].values()
            side = next(
                (b for b, e in items if b.kind == "size" and b.data is dim and is_num(e, -1)), None
            )
            means = [] if side is None else self._one_sum(as_sum, axes, "mean")
            if means:
                rest = [(b, e) for b, e in items if b is not side]
                best = min(means, key=lambda text: len(text.text))
                yield self._quotient(coefficient, rest, axes, {base: lambda axes, best=best: best})  # type: ignore[misc]
        if len(axes) >= 2:
            yield from self._outer(coefficient, items, axes)

    def _mean_of(
        self, total: Node, items: list[Power]
    ) -> tuple[list[Power], Callable[[Axes], Text]] | None:
        """The factors left if a sum over indices becomes a mean, and what writes it."""
        rest = dict(items)
        del rest[total]
        fixed = 1
        for _, dim in total.data[0]:
            if dim.root.fixed:
                return None
            side = next(
                (base for base in rest if base.kind == "size" and base.data is dim.root), None
            )
            if side is None or rest[side].kind != "num" or rest[side].data > -1:
                return None
            left = rest[side].data + 1
            if left:
                rest[side] = num(left)
            else:
                del rest[side]
        del fixed
        return list(rest.items()), lambda axes: self._sigma(total, axes, self._averaged)

    def _quotient(
        self,
        coefficient: Number,
        items: Sequence[Power],
        axes: Axes,
        instead: Mapping[Node, Callable[[Axes], Text]],
    ) -> Text:
        """Factors as a product over a product: numbers and one-number factors before a chain."""
        above: list[tuple[int, Text]] = []
        below: list[tuple[int, Text]] = []
        items, counted = self._counted(items)
        known = {base for base, _ in items if base.kind == "fn" and base.data[0] == "sigmoid"}
        for inverse, text in counted:
            (below if inverse else above).append((1, text))
        for base, by in items:
            inverse = _negative(by)
            if (
                coefficient < 0
                and base.kind == "add"
                and is_num(by, 1)
                and min(base.data[1].values()) < 0
            ):
                coefficient = -coefficient
                turned = {term: -each for term, each in base.data[1].items()}
                text = self._total(-base.data[0], turned, axes)
            elif base in instead:
                text = instead[base](axes)
            elif (
                base.kind == "add" and is_num(by, 1) and any(term in known for term in base.data[1])
            ):
                text = self._total(*base.data, axes)  # s*(1 - s)
            else:
                text = self._power(base, power_of(-1, by) if inverse else by, axes)
            (below if inverse else above).append((_rank(base, text), text))
        above.sort(key=lambda it: it[0])
        below.sort(key=lambda it: it[0])
        over = coefficient.denominator
        decimal = _decimal(abs(coefficient))
        top = decimal if over == 1 or "/" not in decimal else str(abs(coefficient.numerator))
        bottom = "" if top == decimal else str(over)
        texts = [text for _, text in above]
        chains = [text for text in texts if text.chain]
        scalar = all(not text.layout for text in texts if not text.chain)
        parts = [
            text.within(POWER) if not text.chain else text.text for text in texts if not text.chain
        ]
        under = (
            [bottom, *(text.within(POWER) for _, text in below)]
            if bottom
            else [text.within(POWER) for _, text in below]
        )
        flat_below = all(not text.layout for _, text in below)
        layout = _joined([text.layout for _, text in [*above, *below]])
        chain = False
        lead = [] if top == "1" else [top]
        if texts and not lead and not under and all(text.binds == COMPARE for text in texts):
            lead = ["1.0"]
        if len(chains) == 1 and scalar and flat_below:
            fraction = ""
            if under and (lead or parts):
                fraction = f"{'*'.join([*lead, *parts])}/{_many(under)}*"
                text = f"{fraction}{chains[0].text}"
            else:
                text = "*".join([*lead, *parts, chains[0].text])
                text += f"/{_many(under)}" if under else ""
            chain = True
        else:
            written = [*parts, *(f"({each.text})" for each in chains)]
            if len(chains) == 1 and not written[:-1] and not lead:
                written = [chains[0].text]
            above_text = "*".join([*lead, *written]) or "1"
            text = f"{above_text}/{_many(under)}" if under else above_text
        if coefficient < 0:
            return Text(f"-{text}", SIGN if not chain else PRODUCT, layout, chain)
        return Text(text, PRODUCT, layout, chain)

    def _counted(self, items: Sequence[Power]) -> tuple[list[Power], list[tuple[bool, Text]]]:
        """The sizes of all sides of an input as Y.numel(): the other factors, and the texts."""
        found = []
        rest = list(items)
        for exponent in (1, -1):
            sizes = [base.data for base, by in rest if base.kind == "size" and is_num(by, exponent)]
            if len(sizes) < 2:
                continue
            for name, sides in self._tensors.items():
                roots = [dim.root for dim in sides if dim is not None]
                if (
                    len(roots) > 1
                    and len(set(roots)) == len(roots)
                    and all(root in sizes for root in roots)
                ):
                    rest = [
                        (b, e)
                        for b, e in rest
                        if not (b.kind == "size" and b.data in roots and is_num(e, exponent))
                    ]
                    found.append((exponent < 0, Text(f"{name}.numel()", ATOM)))
                    break
        return rest, found

    def _outer(self, coefficient: Number, items: Sequence[Power], axes: Axes) -> Iterator[Text]:
        """u_i*v_j as outer(u, v), and u_i*delta_ij as diag(u)."""
        i, j = axes[-2:]
        if len(axes) != 2:
            return
        sides: dict[frozenset[int], list[Power]] = {}
        for base, by in items:
            sides.setdefault((base.free | by.free) & {i, j}, []).append((base, by))
        none, rows, columns, both = (
            sides.get(frozenset(key), []) for key in ((), (i,), (j,), (i, j))
        )
        deltas = [base for base, by in both if base.kind == "delta" and is_num(by, 1)]
        if len(both) == 1 and deltas and not (rows and columns):
            inner = product(coefficient, [*none, *rows, *columns])
            (index,) = inner.free & {i, j} or {i}
            text = self.write(inner, (index,))
            if text.layout:
                yield Text(f"diag({text.text})", ATOM, axes)
        if rows and columns and both:
            inner = product(1, [*rows, *columns])
            outer = next(self._outer(1, list(powers(inner)[1]), axes), None)
            if outer is not None:
                name = self._stand_in(inner)
                yield self._quotient(
                    coefficient, [(name, num(1)), *none, *both], axes, {name: lambda axes: outer}
                )
        if rows and columns and not both:
            left = self.write(product(1, rows), (i,))
            right = self.write(product(1, columns), (j,))
            text = f"outer({left.text}, {right.text})"
            scalars = product(coefficient, none)
            if is_num(scalars, 1):
                yield Text(text, ATOM, axes)
                return
            sign = "-" if coefficient < 0 else ""
            above, below = _halves(product(abs(coefficient), none))
            front = "" if is_num(above, 1) else f"{self.write(above, ()).within(PRODUCT)}*"
            under = "" if is_num(below, 1) else f"/{self.write(below, ()).within(POWER)}"
            yield Text(f"{sign}{front}{text}{under}", PRODUCT if not sign else SIGN, axes)

    def _power(self, base: Node, by: Node, axes: Axes) -> Text:
        if is_num(by, 1):
            return self.write(base, axes)
        value = number(by)
        if value is not None and value.denominator == 2 and value.numerator != 1 and value > 0:
            norm = self._norm(base, axes)
            inner = self.write(base, axes)
            if norm is None:
                return Text(f"{inner.atom}**{float(value)}", POWER, inner.layout)
        if value == Fraction(1, 2):
            norm = self._norm(base, axes)
            if norm is not None:
                return norm
            inner = self.write(base, axes)
            return Text(f"sqrt({inner.text})", ATOM, inner.layout)
        if value is not None and value < 0:
            below = self._power(base, num(-value), axes)
            return Text(f"1/{below.within(POWER)}", PRODUCT, below.layout)
        if value is not None and value.denominator == 2 and value > 1:
            norm = self._norm(base, axes)
            if norm is not None:
                return Text(f"{norm.atom}**{value.numerator}", POWER, norm.layout)
        inner = self.write(base, axes)
        exponent = self.write(by, axes) if value is None else _number(value)
        layout = _joined([inner.layout, exponent.layout])
        up = exponent.within(SIGN if value is None or value.denominator == 1 else ATOM)
        return Text(f"{inner.within(ATOM)}**{up}", POWER, layout)

    # --- sums over indices ----------------------------------------------------------------------

    def _sigma(self, node: Node, axes: Axes, reduce: Callable[[Text, Axes, Axes], Text]) -> Text:
        over, body = self._open(node)
        candidates = list(self._reduced(over, body, axes, reduce))
        if reduce == self._summed:
            candidates += self._by_places(over, body, axes)
        for rest, nested in self._nested(over, body):
            candidates += self._reduced(rest, nested, axes, reduce)
        if reduce == self._summed:
            candidates += self._chains(over, body, axes)
        if not candidates:
            raise NoRule("no short text for a sum")
        return min(candidates, key=_length)

    def _reduced(
        self,
        over: Mapping[int, Dim],
        body: Node,
        axes: Axes,
        reduce: Callable[[Text, Axes, Axes], Text],
    ) -> Iterator[Text]:
        """The elements written out, then summed along their axes."""
        own = tuple(index for index in axes if index in body.free)
        if len(own) + len(over) > max(_AXES, *map(len, self._tensors.values())):
            return  # each axis more is a factor of memory
        for order in _orders(body, own, tuple(over)):
            try:
                text = self.write(body, order)
            except NoRule:
                continue
            if text.layout == order:
                if reduce == self._averaged:
                    text = _as_floats(body, text)
                yield self._laid(reduce(text, order, tuple(over)), own, axes)

    def _nested(self, over: Mapping[int, Dim], body: Node) -> Iterator[tuple[dict[int, Dim], Node]]:
        """The same with one index summed inside: what is left to sum, and the elements."""
        coefficient, factors = powers(body)
        for index, dim in over.items() if len(over) > 1 else ():
            having = [(base, by) for base, by in factors if index in base.free | by.free]
            if len(having) == len(factors):
                continue
            inner = sigma({index: dim}, product(1, having))
            rest = [(base, by) for base, by in factors if (base, by) not in having]
            nested = product(coefficient, [*rest, (self._stand_in(inner), num(1))])
            yield {i: d for i, d in over.items() if i != index}, nested

    def _by_places(self, over: Mapping[int, Dim], body: Node, axes: Axes) -> Iterator[Text]:
        """Products with one-hot rows: W[s], a[arange(n), t], and zeros_like(W).index_add(0, s, r)."""
        coefficient, factors = powers(body)
        for hot, by in factors:
            if hot.kind != "call" or hot.data[0] != "one_hot" or not is_num(by, 1):
                continue
            (((), places),), (out,) = hot.data[1], hot.data[2]
            rest = [(base, e) for base, e in factors if base is not hot]
            if out in over:
                tables = [base for base, _ in rest if out in base.free]
                left = {index: dim for index, dim in over.items() if index != out}
                for text, table in self._lookup(tables, out, places):
                    others = [(base, e) for base, e in rest if base is not table]
                    inner = product(coefficient, [*others, (text, num(1))])
                    yield self.write(sigma(left, inner), axes)
            elif len(places.free) == 1 and places.free <= over.keys() and self._like:
                (row,) = places.free
                inner = sigma(
                    {i: d for i, d in over.items() if i != row}, product(coefficient, rest)
                )
                order = (row, *axes[1:])
                if not axes or axes[0] != out or not inner.free <= set(order):
                    continue
                text, at = self.write(inner, order), self.write(places, (row,))
                if text.layout == order:
                    found = f"zeros_like({self._like}).index_add(0, {at.text}, {text.text})"
                    yield Text(found, ATOM, axes)

    def _lookup(self, tables: list[Node], out: int, places: Node) -> Iterator[tuple[Node, Node]]:
        """The one table that is indexed by `out`, as a tensor of its rows at the places."""
        if (
            len(tables) != 1
            or tables[0].kind != "sym"
            or not all(isinstance(i, int) for i in tables[0].data[1])
        ):
            return
        (table,) = tables
        name, indices = table.data
        at = indices.index(out)
        rows = tuple(sorted(places.free, reverse=True))
        written = self.write(places, rows)
        if written.layout != rows:
            return
        if at == 0 and places.free.isdisjoint(indices):
            text, own = f"{name}[{written.text}]", (*rows, *indices[1:])
        elif at == 1 and rows == indices[:1]:
            text, own = f"{name}[arange({name}.shape[0]), {written.text}]", (*rows, *indices[2:])
        else:
            return
        stand_in = f"rows {len(self._looked_up)}"
        self._looked_up[stand_in] = Text(text, ATOM)
        yield sym(stand_in, own), table

    def _stand_in(self, inner: Node) -> Node:
        """A tensor that is written as `inner`, and not taken apart by what is around it."""
        own = tuple(sorted(inner.free))
        name = f"inner {len(self._inner)}"
        self._inner[name] = own, inner
        return sym(name, own)

    def _summed(self, text: Text, order: Axes, over: Axes) -> Text:
        return _reduction("sum", text, order, over)

    def _averaged(self, text: Text, order: Axes, over: Axes) -> Text:
        return _reduction("mean", text, order, over)

    def _norm(self, base: Node, axes: Axes) -> Text | None:
        """sqrt(sum(u**2)) as norm(u)."""
        if base.kind != "sigma":
            return None
        over, body = self._open(base)
        coefficient, factors = powers(body)
        halves = [
            (each, ratio(by.data, 2))
            for each, by in factors
            if by.kind == "num" and by.data % 2 == 0
        ]
        if coefficient != 1 or len(halves) < len(factors):
            return None
        inner = product(1, [(each, num(by)) for each, by in halves])
        own = tuple(index for index in axes if index in inner.free)
        for order in _orders(inner, own, tuple(over)):
            text = self.write(inner, order)
            if text.layout == order and (not own or len(over) == 1):
                dim = f", dim={order.index(next(iter(over)))}" if own else ""
                return self._laid(Text(f"norm({text.text}{dim})", ATOM), own, axes)
        return None

    def _chains(self, over: Mapping[int, Dim], body: Node, axes: Axes) -> Iterator[Text]:
        """Products of matrices and vectors for a sum of products."""
        own = tuple(index for index in axes if index in body.free)
        coefficient, factors = powers(body)
        if coefficient != 1 or len(factors) > 6:
            return
        items = [power(base, by) for base, by in factors]
        if len(items) == 1 and not own:
            ((base, by),) = factors
            if is_num(by, 2) and len(over) == 1:
                text = self.write(base, tuple(over))
                if text.binds == ATOM:
                    yield Text(f"{text.text} @ {text.text}", PRODUCT, (), chain=True)
            return
        if len(own) <= 2:
            left, right = own if len(own) == 2 else (None, None)
            found = [] if len(own) == 1 else self._matrices(over, items, left, right)
            if len(own) == 1:
                found = self._matrices(over, items, own[0], None)
                row = self._matrices(over, items, None, own[0])
                # A.T @ g, as textbooks write it, unless g @ A is much shorter.
                if row and (not found or len(found[0].text) > len(row[0].text) + 3):
                    found = row
            for text in found:
                yield self._laid(text, own, axes)
            if not own and len(items) > 1:
                yield from self._trace(over, items)
        else:
            for text in self._matrices(over, items, own[-2], own[-1], own[:-2]):
                yield self._laid(text, own, axes)

    def _matrices(
        self,
        over: Mapping[int, Dim],
        items: list[Node],
        left: int | None,
        right: int | None,
        batch: Axes = (),
    ) -> list[Text]:
        """Ways to write the product with rows `left` and columns `right` as `a @ b`."""
        found: list[tuple[int, Text]] = []
        for inner, first, second in _splits(over, items):
            a, b = sigma(first[1], mul(*first[0])), sigma(second[1], mul(*second[0]))
            if not (a.free <= {left, inner, *batch} and b.free <= {inner, right, *batch}):
                continue
            if (left is not None) > (left in a.free) or (right is not None) > (right in b.free):
                continue
            one: Axes = tuple(i for i in (*batch, left, inner) if i in a.free)
            other: Axes = tuple(i for i in (*batch, inner, right) if i in b.free)
            if batch and (len(one) - 2) % len(batch) + (len(other) - 2) % len(batch):
                continue
            if batch and len(one) == len(other) == 2:
                continue
            try:
                x, y = self.write(a, one), self.write(b, other)
            except NoRule:
                continue
            if x.layout != one or y.layout != other:
                continue
            x, y = _as_floats(a, x), _as_floats(b, y)
            before = x.text if x.chain and "/" not in x.text else x.within(POWER)
            layout = tuple(index for index in (*batch, left, right) if index is not None)
            text = f"{before} @ {y.within(POWER)}"
            late = 4 if before.startswith("(") and not y.text.startswith("(") else 0
            found.append((len(text) + late, Text(text, PRODUCT, layout, chain=True)))
        return [text for _, text in sorted(found, key=lambda it: it[0])[:1]]

    def _trace(self, over: Mapping[int, Dim], items: list[Node]) -> Iterator[Text]:
        """A sum of products over all indices, as the trace of a product of matrices."""
        for index, dim in over.items():
            holders = [place for place, item in enumerate(items) if index in item.free]
            if len(holders) != 2:
                continue
            other = fresh()
            changed = list(items)
            changed[holders[1]] = rename(items[holders[1]], {index: other})
            rest = {i: d for i, d in over.items() if i != index}
            for text in self._matrices(rest, changed, index, other):
                yield Text(f"trace({text.text})", ATOM)
            del dim

    # --- functions of whole tensors -------------------------------------------------------------

    def _call(self, node: Node, axes: Axes) -> Text:
        name, _, outs, settings, sides = node.data
        arguments = arguments_of(node)
        if name in ("cat", "stack"):
            return self._joined_tensors(node, arguments, axes)
        if name == "arange":
            return self._laid(Text(f"arange({self.size(sides[0])})", ATOM), outs, axes)
        (bounds, body), *_ = arguments
        places = tuple(index for index, _ in bounds)
        if name == "one_hot":
            own = tuple(index for index in axes if index in body.free)
            text = f"one_hot({self.write(body, own).text}, {self.size(sides[0])})"
            return self._laid(Text(text, ATOM), (*own, *outs), axes)
        matrix = len(places) > 1
        moved = [index for index in axes if index in outs or index in body.free]
        if matrix or not outs or name == "reshape":
            order = (*(index for index in axes if index in body.free), *places)
        else:
            order = tuple(places[outs.index(index)] if index in outs else index for index in moved)
        own, indices = self._fixed(outs, vector=not body.free)
        if not matrix and name != "reshape" and len(indices) < len(outs):
            order = (*order, *places)
        inner = self.write(body, order)
        whole = self._full(inner, order, dict(bounds))
        text = whole.text
        at = order.index(places[0])
        result = tuple(dict(zip(places, outs, strict=False)).get(index, index) for index in order)
        match name:
            case "softmax" | "logsumexp" | "cumsum" | "prod":
                written = f"{name}({text}, {at})"
            case "max" | "min":
                written = f"a{name}({text}, {at})" if len(order) > 1 else f"{name}({text})"
            case "rcumsum":
                written = f"flip(cumsum(flip({text}, ({at},)), {at}), ({at},))"
            case "flip":
                written = f"flip({text}, ({at},))"
            case "roll":
                written = f"roll({text}, {settings[0]}, {at})"
            case "slice":
                written = f"{whole.atom}[{self._slice(settings, sides[0], bounds[0][1], at)}]"
            case "pad":
                written = self._pad(text, settings, bounds[0][1], sides[0], len(order) - 1 - at)
            case "reshape":
                listed = ", ".join(self.size(dim) for dim in sides)
                written = f"{whole.atom}.reshape({listed})"
                result = (*order[: len(order) - len(places)], *outs)
            case "tril" | "triu":
                written = (
                    f"{name}({text}, {settings[0]})"
                    if settings and settings[0]
                    else f"{name}({text})"
                )
            case _:
                written = f"{name}({text})"
        if not outs:
            result = tuple(index for index in order if index not in places)
        shown = Text(written + own, ATOM)
        return self._laid(shown, tuple(index for index in result if isinstance(index, int)), axes)

    def _fixed(self, outs: Sequence[Index], *, vector: bool) -> tuple[str, list[int]]:
        """The subscript of fixed places after a call, and the indices that are left."""
        if all(isinstance(out, int) for out in outs):
            return "", [out for out in outs if isinstance(out, int)]
        places = [":" if isinstance(out, int) else str(out[0]) for out in outs]
        text = ", ".join(places if vector else ["...", *places])
        return f"[{text}]", [out for out in outs if isinstance(out, int)]

    def _full(self, text: Text, order: Axes, dims: Mapping[int, Dim]) -> Text:
        """A text with all its axes, since a function of a whole tensor counts them."""
        layout = (None,) * (len(order) - len(text.layout)) + tuple(text.layout)
        if layout == order:
            return text
        if any(own is None and index not in dims for own, index in zip(layout, order, strict=True)):
            raise NoRule("no short text for a tensor of equal rows")
        if not text.layout and set(order) <= dims.keys():
            sizes = "".join(f"{self.size(dims[index])}, " for index in order if index is not None)
            return Text(f"full(({sizes}), {text.text})", ATOM, order)
        listed = [
            self.size(dims[index]) if own is None and index is not None else "-1"
            for own, index in zip(layout, order, strict=True)
        ]
        return Text(f"{text.atom}.expand({', '.join(listed)})", ATOM, order)

    def _bound(self, bound: int | tuple[Dim, ...]) -> str:
        """Where a slice begins or ends: a number, or the sum of some sizes."""
        if isinstance(bound, tuple):
            return " + ".join(map(self.size, bound))
        return str(bound) if bound else ""

    def _slice(self, settings: tuple[Any, ...], side: Dim, whole: Dim, at: int) -> str:
        start, stop, step = settings
        last = "" if count_of(stop) >= whole.size else self._bound(stop)
        if isinstance(stop, int) and whole.size - stop in (1, 2, 3) and step == 1:
            last = str(stop - whole.size)
        text = f"{self._bound(start)}:{last}" + (f":{step}" if step != 1 else "")
        return ", ".join([":"] * at + [text])

    def _pad(self, text: str, settings: tuple[int, ...], part: Dim, whole: Dim, behind: int) -> str:
        start, stop, step = settings
        if step != 1:
            raise NoRule("no rule for a slice with a step")
        after = whole.size - stop
        last = str(after)
        if after > 3:
            last = f"{self.size(whole)} - {stop}"
        return f"pad({text}, ({'0, 0, ' * behind}{start}, {last}))"

    def _joined_tensors(
        self, node: Node, arguments: list[tuple[list[tuple[int, Dim]], Node]], axes: Axes
    ) -> Text:
        name, _, (out,), *_ = node.data
        if all(body.kind == "num" for _, body in arguments) and out in axes:
            numbers = [repr(float(body.data)) for _, body in arguments]
            return self._laid(Text(f"tensor([{', '.join(numbers)}])", ATOM), (out,), axes)
        order = tuple(index for index in axes if index == out or index in node.free)
        texts = []
        for bounds, body in arguments:
            own = (
                tuple(bounds[0][0] if index == out else index for index in order)
                if bounds
                else tuple(index for index in order if index != out)
            )
            texts.append(self._full(self.write(body, own), own, {}).text)
        at = order.index(out)
        dim = f", {at}" if at else ""
        return self._laid(Text(f"{name}([{', '.join(texts)}]{dim})", ATOM), order, axes)


def power_of(coefficient: Number, node: Node) -> Node:
    """A number times a node, written as one product."""
    return product(coefficient, [(node, num(1))])


def _as_floats(node: Node, text: Text) -> Text:
    """A text that is an operand of `@`, `+` or `-`, which do not mix types."""
    if text.binds == COMPARE or (node.kind == "call" and node.data[0] == "one_hot"):
        return _as_float(text)
    return text


def _as_float(text: Text) -> Text:
    return Text(f"1.0*{text.within(POWER)}", PRODUCT, text.layout)


def _without_sum(term: Node, dim: Dim, index: int) -> Node | None:
    """What a term is the sum of, along a side: a sum over it, or a product with its size."""
    coefficient, factors = powers(term)
    for base, by in factors:
        if base.kind == "size" and base.data.root is dim and is_num(by, 1):
            return divide(term, base)
    for base, by in factors:
        if base.kind == "sigma" and is_num(by, 1):
            over, body = opened(base)
            mine = next((i for i, d in over.items() if d.root is dim), None)
            if mine is not None:
                rest = {i: d for i, d in over.items() if i != mine}
                return mul(divide(term, base), sigma(rest, rename(body, {mine: index})))
    if dim.fixed:
        return scale(Fraction(1, dim.size), term)
    return None


def _sides(total: Node) -> tuple[Node, Node]:
    """a - b as a and b, for a > b instead of a - b > 0."""
    constant, terms = total.data
    items = [*((each, term) for term, each in terms.items()), (constant, num(1))]
    left = combine([(each, term) for each, term in items if each > 0])
    return left, combine([(-each, term) for each, term in items if each < 0])


def _halves(node: Node) -> tuple[Node, Node]:
    """The numerator and the denominator of a product."""
    coefficient, factors = powers(node)
    above = product(coefficient.numerator, [(b, e) for b, e in factors if not _negative(e)])
    under = [(b, power_of(-1, e)) for b, e in factors if _negative(e)]
    return above, product(coefficient.denominator, under)


def _negative(by: Node) -> bool:
    return bool(by.data < 0) if by.kind == "num" else by.kind == "mul" and by.data[0] < 0


def _length(text: Text) -> int:
    """The length of a sum's text; a matrix comes before a vector in brackets: X.T @ (p - y)."""
    return len(text.text) + 4 * (
        text.chain and text.text.startswith("(") and not text.text.endswith(")")
    )


def _rank(base: Node, text: Text) -> int:
    """The order of factors: short names, then powers and functions, then sums in brackets."""
    if base.kind in ("size",):
        return 1
    if base.kind == "sym":
        return 2 if not text.layout else 3
    return 5 if text.binds < PRODUCT else 4


def _many(texts: Sequence[str]) -> str:
    return texts[0] if len(texts) == 1 else f"({'*'.join(texts)})"


def _decimal(value: Number) -> str:
    """A number as students write it: 3, 0.1, 1e-05, 2/3."""
    if value.denominator == 1:
        return str(value.numerator) if abs(value) < 10**7 else repr(float(value))
    text = repr(float(value))
    exact = Fraction(text) == value
    if exact and (value.denominator % 5 == 0 or len(text) > 6) and len(text) < 24:
        return text
    if value.denominator < 10**6:
        return f"{value.numerator}/{value.denominator}"
    return text


def _number(value: Number) -> Text:
    text = _decimal(value)
    if "/" in text:
        return Text(text, PRODUCT)
    return Text(text, ATOM if value >= 0 else SIGN)


def _joined(layouts: Sequence[Layout]) -> Layout:
    """The layout of texts that broadcast together."""
    length = max(map(len, layouts), default=0)
    padded = [(None,) * (length - len(layout)) + tuple(layout) for layout in layouts]
    return tuple(
        next((i for i in column if i is not None), None) for column in zip(*padded, strict=True)
    )


def _orders(body: Node, own: Axes, over: Axes) -> list[Axes]:
    """Orders of axes for the elements of a sum: those of the tensors in it, and the plain one."""
    found: dict[Axes, None] = {}
    agenda = [body]
    wanted = {*own, *over}
    while agenda and len(found) < 4:
        node = agenda.pop()
        match node.kind:
            case "sym":
                indices = tuple(i for i in node.data[1] if isinstance(i, int))
                if set(indices) == wanted and len(indices) == len(wanted):
                    found[indices] = None
            case "add":
                agenda += node.data[1]
            case "mul":
                agenda += node.data[1]
            case "fn":
                agenda += node.data[1]
    if len(wanted) <= 3:
        for order in permutations((*own, *over)):
            kept = tuple(index for index in order if index in own)
            if kept == own:
                found[order] = None
    else:
        found[(*own, *over)] = None
    return list(found)


def _reduction(name: str, text: Text, order: Axes, over: Axes) -> Text:
    dims = [str(order.index(index)) for index in over]
    dims.sort()
    listed = dims[0] if len(dims) == 1 else f"({', '.join(dims)})"
    if len(over) == len(order):
        return Text(f"{name}({text.text})", ATOM)
    if text.binds == ATOM and len(text.text) < 16:
        return Text(f"{text.text}.{name}({listed})", ATOM)
    return Text(f"{name}({text.text}, {listed})", ATOM)


Half = tuple[list[Node], dict[int, Dim]]


def _splits(over: Mapping[int, Dim], items: list[Node]) -> Iterator[tuple[int, Half, Half]]:
    """Every way to part factors in two that share exactly one summed index."""
    count = len(items)
    for size in range(1, count):
        for chosen in combinations(range(count), size):
            first = [items[place] for place in chosen]
            second = [items[place] for place in range(count) if place not in chosen]
            left = frozenset[int]().union(*(item.free for item in first))
            right = frozenset[int]().union(*(item.free for item in second))
            shared = [index for index in over if index in left and index in right]
            if len(shared) != 1:
                continue
            one = {i: d for i, d in over.items() if i in left and i not in shared}
            other = {i: d for i, d in over.items() if i in right and i not in shared}
            yield shared[0], (first, one), (second, other)
