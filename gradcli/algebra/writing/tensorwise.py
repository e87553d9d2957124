"""Functions of whole tensors as text."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gradcli.algebra.nodes import Bounds, Dim, Node, NoRuleError, count_of
from gradcli.algebra.writing.layouts import KEPT, Axes, Text, length
from gradcli.language.assignment import in_expression

if TYPE_CHECKING:
    from gradcli.algebra.writing.writer import Writer

_FORMS = {
    **dict.fromkeys(("softmax", "logsumexp", "cumsum"), "{name}({text}, {at})"),
    "rcumsum": "flip(cumsum(flip({text}, ({at},)), {at}), ({at},))", "flip": "flip({text}, ({at},))",
    "roll": "roll({text}, {settings[0]}, {at})",
}  # fmt: skip
"""How functions are written of a `text`, along its axis `at`."""


def call(w: "Writer", node: Node, axes: Axes) -> Text:
    """A function of whole tensors. Raises NoRuleError."""
    name, _, outs, settings, sides = node.data
    if name in ("cat", "stack"):
        return _joined(w, node, axes)
    if name == "arange":
        return w.laid(Text(f"arange({w.size(sides[0])})"), outs, axes)
    ((bounds, body),) = w.open(node)
    if name == "one_hot":
        own = tuple(index for index in axes if index in body.free)
        text = f"one_hot({w.write(body, own).text}, {w.size(sides[0])})"
        return w.laid(Text(text), (*own, *outs), axes)
    places = tuple(index for index, _ in bounds)
    fixed = any(isinstance(out, tuple) for out in outs)
    order: Axes = tuple(places[0] if index is None else index for index in axes)
    kept = not outs and len(places) == axes.count(None) == 1 and body.free.issuperset(order)
    if not kept and (len(places) > 1 or not outs or fixed or name == "reshape"):
        order = (*(index for index in axes if index in body.free), *places)
    elif not kept:
        moved = [index for index in axes if index in outs or index in body.free]
        order = tuple(places[outs.index(index)] if index in outs else index for index in moved)
    inner = w.write(body, order)
    if name == "softmax" and order[-1] != places[0] and body.kind != "sym":
        # softmax(Q @ K.T, 1).T, as the user wrote it, rather than softmax(K @ Q.T, 0)
        last = (*(index for index in order if index != places[0]), places[0])
        turned = w.write(body, last)
        order, inner = (last, turned) if length(turned) <= length(inner) else (order, inner)
    whole = _full(w, inner, order, dict(bounds))
    at = order.index(places[0])
    names: dict[Any, Any] = dict.fromkeys(places) | dict(zip(places, outs, strict=False))
    result = tuple(names.get(index, index) for index in order)
    if name == "reshape":
        written = f"{whole.atom}.{_reshape(w, [dim for _, dim in bounds], sides)}"
        result = (*order[: len(order) - len(places)], *outs)
    elif name == "slice":
        written = f"{whole.atom}[{_slice(w, settings, bounds[0][1], at)}]"
    elif name == "pad":
        written = _pad(w, whole.text, settings, result, at, sides[0])
    elif name in ("max", "min", "prod"):
        along = f"a{name}" if name != "prod" else name
        written = f"{along}({whole.text}, {at})" if kept or order[1:] else f"{name}({whole.text})"
    elif name in ("tril", "triu"):
        written = f"{name}({', '.join([whole.text, *(str(s) for s in settings if s)])})"
    else:
        form = _FORMS.get(name, "{name}({text})")
        written = form.format(name=name, text=whole.text, at=at, settings=settings)
    if fixed:
        subscript = [":" if isinstance(out, int) else str(out[0]) for out in outs]
        written += f"[{', '.join(['...', *subscript] if body.free else subscript)}]"
    if kept:
        return Text(f"{written[:-1]}{KEPT})", layout=axes)
    return w.laid(Text(written), tuple(i for i in result if isinstance(i, int)), axes)


def _full(w: "Writer", text: Text, order: Axes, dims: Mapping[int | None, Dim]) -> Text:
    """A text with all its axes, since a function of a whole tensor counts them."""
    layout = (None,) * (len(order) - len(text.layout)) + text.layout
    if layout == order:
        return text
    if any(own is None and index not in dims for own, index in zip(layout, order, strict=True)):
        raise NoRuleError("no short text for a tensor of equal rows")
    if not text.layout:
        sizes = ", ".join(w.size(dims[index]) for index in order)
        made = f"ones({sizes})" if text.text == "1" else f"full([{sizes}], {text.text})"
        return Text(made, layout=order)
    pairs = zip(layout, order, strict=True)
    listed = [w.size(dims[index]) if own is None else "-1" for own, index in pairs]
    return Text(f"{text.atom}.expand({', '.join(listed)})", layout=order)


def _reshape(w: "Writer", before: Sequence[Dim], after: Sequence[Dim]) -> str:
    """The call of the method that gives a tensor other sides."""
    old, new = [dim.root for dim in before], [dim.root for dim in after]
    for name in [w.like, *w.tensors] if len(new) > 1 else ():
        if [dim and dim.root for dim in w.tensors.get(name, ())] == new:
            return f"reshape({in_expression(name)}.shape)"
    for first, dim in enumerate(new):
        parts, last = [part.root for part in dim.parts], len(old) - len(new) + first
        if parts and [*new[:first], *parts, *new[first + 1 :]] == old:
            if new[first + 1 :]:
                return f"flatten({first}, {last})"
            return f"flatten({first or ''})"
    return f"reshape({', '.join(map(w.size, new))})"


def _bound(w: "Writer", bound: int | tuple[Dim, ...] | None) -> str:
    """Where a slice begins or ends: a number, or the sum of some sizes."""
    if isinstance(bound, tuple):
        return " + ".join(map(w.size, bound))
    return str(bound) if bound else ""


def _slice(w: "Writer", settings: tuple[Any, ...], whole: Dim, at: int) -> str:
    start, stop, step = settings
    last = "" if count_of(stop, whole) >= whole.root.size else _bound(w, stop)
    text = f"{_bound(w, start)}:{last}" + (f":{step}" if step != 1 else "")
    return ", ".join([":"] * at + [text])


def _pad(
    w: "Writer", text: str, settings: tuple[Any, ...], result: Sequence[Any], at: int, whole: Dim
) -> str:
    """Zeros with a tensor at the places of a slice of the axis `at`, whose side is `whole`."""
    *bounds, step = settings
    start, stop = (count_of(it, whole) if isinstance(it, tuple) else it for it in bounds)
    if step == 1:
        first = _left(w, whole, -start) if start < 0 else str(start)
        last = "0" if stop is None else str(-stop) if stop < 0 else _left(w, whole, stop)
        return f"pad({text}, ({'0, 0, ' * (len(result) - 1 - at)}{first}, {last}))"
    if result != w.like_axes and len(result) > 1:
        raise NoRuleError("no short text for a slice with a step of a slice")
    zeros = f"zeros_like({w.like})" if result == w.like_axes else f"zeros({w.size(whole)})"
    return f"slice_scatter({zeros}, {text}, {at}, {start}, {stop}, {step})"


def _left(w: "Writer", whole: Dim, taken: int) -> str:
    """The size of a side without so many places."""
    size = w.size(whole)
    return str(int(size) - taken) if size.isdigit() else f"{size} - {taken}"


def _joined(w: "Writer", node: Node, axes: Axes) -> Text:
    """cat and stack; a stack of numbers is a tensor of them."""
    name, _, (out,), *_ = node.data
    arguments: list[tuple[Bounds, Node]] = [*w.open(node)]
    if all(body.kind == "num" for _, body in arguments) and out in axes:
        numbers = ", ".join(repr(float(body.data)) for _, body in arguments)
        return w.laid(Text(f"tensor([{numbers}])"), (out,), axes)
    order = tuple(index for index in axes if index == out or index in node.free)
    texts = []
    for bounds, body in arguments:
        own: Axes = tuple(index for index in order if index != out)
        if bounds:
            own = tuple(bounds[0][0] if index == out else index for index in order)
        texts.append(_full(w, w.write(body, own), own, dict(bounds)).text)
    at = order.index(out)
    dim = f", {at}" if at else ""
    return w.laid(Text(f"{name}([{', '.join(texts)}]{dim})"), order, axes)
