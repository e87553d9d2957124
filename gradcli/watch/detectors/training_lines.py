"""The lines of a training program's source that explain why its parameters do not move."""

import ast
from collections.abc import Iterable, Iterator
from functools import cache

from gradcli.watch.finding import Place
from gradcli.watch.live_modules import Hidden
from gradcli.watch.user_lines import Places, syntax_tree

_MISSPELT = frozenset(
    ["require_grad", "require_grads", "requires_grads", "required_grad", "requires_gradient"]
)


def without_call(places: Places, method: str) -> Place | None:
    """The line that names a method, step or backward, but does not call it."""
    for file, node in places.nodes(ast.Expr):
        value = node.value
        if isinstance(value, ast.Attribute) and value.attr == method:
            return Place(file, value.lineno)
    return None


@cache
def discards(place: Place) -> bool:
    """Whether a line is a statement that assigns nothing, such as print(...), and fills no list."""
    for node in ast.walk(syntax_tree(place.file)):
        if isinstance(node, ast.Expr) and node.lineno <= place.line <= (node.end_lineno or 0):
            return ".append(" not in ast.unparse(node)
    return False


def never_stepped(places: Places, made: Place | None) -> bool:
    """Whether the line assigns an optimizer to a name whose zero_grad is called, and step is not."""
    called: dict[str, set[str]] = {"zero_grad": set(), "step": set()}
    for _, node in places.nodes(ast.Call):
        if isinstance(node.func, ast.Attribute) and node.func.attr in called:
            called[node.func.attr] |= {ast.unparse(each) for each in (node.func.value, *node.args)}
    names = {
        ast.unparse(each)
        for file, node in places.nodes(ast.Assign)
        if made and (file, node.lineno) == made.address
        for each in ast.walk(node.targets[0])
    }
    return bool(names & called["zero_grad"] - called["step"])


def rebound(places: Places) -> Place | None:
    """The line `p = p - ...` in a loop over p."""
    for file, loop in places.nodes(ast.For):
        over = {each.id for each in ast.walk(loop.target) if isinstance(each, ast.Name)}
        match loop.body[-1]:
            case ast.Assign([ast.Name(name), *_], ast.BinOp(ast.Name(left))) as node if (
                name == left and name in over
            ):
                return Place(file, node.lineno)
    return None


def misspelt(places: Places) -> Place | None:
    """The line that sets a flag whose name PyTorch does not know."""
    for file, node in places.nodes(ast.Assign):
        target = node.targets[0]
        if isinstance(target, ast.Attribute) and target.attr in _MISSPELT:
            return Place(file, target.lineno)
    return None


def copied(places: Places) -> Place | None:
    """The line outside of `__init__` that makes a parameter of a tensor."""
    for file, owner in places.nodes(ast.FunctionDef, ast.For, ast.While):
        if isinstance(owner, ast.FunctionDef) and owner.name == "__init__":
            continue
        for node in ast.walk(owner):
            match node:
                case ast.Call(
                    ast.Name("Parameter") | ast.Attribute(attr="Parameter"),
                    [ast.Name() | ast.Attribute(), *_],
                ):
                    return Place(file, node.lineno)
    return None


def assigned(places: Places, hidden: Hidden) -> Place | None:
    """The line of a class that fills an attribute: an item of it first, then itself. None for
    tensors that are not all made in __init__ or a method that it calls: one that is kept in forward
    may be data.
    """
    best: Place | None = None
    names = {each.__name__ for each in hidden.owner.__mro__}
    owners = [(file, node) for file, node in places.nodes(ast.ClassDef) if node.name in names]
    first = [*_methods(owners, {"self.__init__"})]
    first += _methods(owners, {ast.unparse(it.func) for it in first if isinstance(it, ast.Call)})
    for file, owner in owners:
        for node in ast.walk(owner):
            if not isinstance(node, ast.Assign | ast.AnnAssign):
                continue
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                if hidden.attribute not in [getattr(each, "attr", "") for each in ast.walk(target)]:
                    continue
                made = any(isinstance(each, ast.Call) for each in ast.walk(node))
                if hidden.ref and not (made and node in first):
                    return None
                if isinstance(target, ast.Subscript):
                    return Place(file, target.lineno)
                best = best or Place(file, target.lineno)
    return best


def _methods(owners: Iterable[tuple[str, ast.ClassDef]], names: set[str]) -> Iterator[ast.AST]:
    """What the methods hold that are called as one of `names`, such as `self.build`."""
    for each in [each for _, owner in owners for each in owner.body]:
        if f"self.{getattr(each, 'name', '')}" in names:
            yield from ast.walk(each)
