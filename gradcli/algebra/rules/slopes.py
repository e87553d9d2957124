"""The derivatives of elementwise functions, which the catalogue has as formulas."""

from collections.abc import Callable, Mapping

from gradcli.algebra.elementwise import chosen, fn
from gradcli.algebra.nodes import ONE, ZERO, Node, NoRuleError
from gradcli.algebra.terms import add
from gradcli.algebra.walk import Value, formula
from gradcli.catalogue import derivative_rules
from gradcli.catalogue.functions import CATALOGUE

Slope = Callable[..., Node]


def slope(node: Node, place: int) -> Node:
    """The derivative of an elementwise function by one argument. Raises NoRuleError."""
    name, arguments, settings = node.data
    if name in _OWN:
        return _OWN[name][place](*arguments)
    if name in _FLAT:
        return ZERO
    formulas = derivative_rules.FORMULAS.get(name)
    if formulas is not None:
        names = dict(zip("abc", map(Value, arguments), strict=False))
        return formula(formulas[place], {**names, "y": Value(node)}).node
    entry = CATALOGUE.get(name)
    if entry is None:
        raise NoRuleError(f"no rule for {name}")
    # Without the branch that PyTorch takes to avoid an overflow.
    text = "sigmoid(beta*x)" if name == "softplus" else entry.derivative
    if text is None:
        raise NoRuleError(f"PyTorch has no derivative of {name}")
    bound = entry.defaults | dict(settings)
    return formula(text, {"x": Value(arguments[0]), **bound}).node


def _first(symbol: str, other: Node) -> str:
    """How the first of two operands compares with the other, if it is the one that counts at a tie:
    both may be equal everywhere in a region, as in minimum(r*A, clamp(r, 0.8, 1.2)*A).
    """
    return symbol if other.kind == "num" else f"{symbol}="


_OWN: Mapping[str, tuple[Slope, ...]] = {
    "maximum": (lambda a, b: chosen(fn(_first(">", b), a, b)), lambda a, b: chosen(fn(">", b, a))),
    "minimum": (lambda a, b: chosen(fn(_first("<", b), a, b)), lambda a, b: chosen(fn("<", b, a))),
    "relu": (lambda a: chosen(fn(">", a, ZERO)),),
    "polygamma": (lambda n, a: ZERO, lambda n, a: fn("polygamma", add(n, ONE), a)),
}
_FLAT = frozenset({"<", "<=", ">", ">=", "==", "!=", "&", "|", "detach"})
