"""Mutants: the small faults that `tools.mutation` puts into a module, one at a time, made from its
syntax tree.
"""

import ast
import copy
import gc
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from types import FunctionType

_COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
}
_OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.MatMult: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}
_TWINS = {
    "min": "max",
    "max": "min",
    "any": "all",
    "all": "any",
    "startswith": "endswith",
    "endswith": "startswith",
}
_WORDS = re.compile(r"[a-z]{2,} [a-z]{2,}")


@dataclass(frozen=True)
class Mutant:
    """One fault: where it is, what it makes of what, and the address by which `mutated` makes
    it.
    """

    module: str
    node: int
    variant: int
    statement: int
    scope: str
    before: str
    after: str
    wording: bool
    at_import: bool

    def __str__(self) -> str:
        return f"{self.module}:{self.statement} {self.scope} [{self.node}.{self.variant}] {self.before}  =>  {self.after}"


def mutants(module: str, source: str) -> list[Mutant]:
    """All mutants of a module, in the order of its text. `statement` is the line of the statement,
    or lambda, that is hit.
    """
    tree = ast.parse(source)
    number = {id(node): index for index, node in enumerate(ast.walk(tree))}
    found = []
    for node, statement, scope, wording in _visited(tree, 0, "", wording=False):
        for variant, other in enumerate(_variants(node)):
            worded = wording or (isinstance(node, ast.Constant) and _is_text(node.value))
            before, after = (re.sub(r"\s+", " ", ast.unparse(each)) for each in (node, other))
            found.append(
                Mutant(
                    module,
                    number[id(node)],
                    variant,
                    statement,
                    scope,
                    before,
                    after,
                    worded,
                    not scope,
                )
            )
    return found


def mutated(source: str, mutant: Mutant) -> ast.Module:
    """The tree of the module with that one fault."""
    tree = ast.parse(source)
    old = list(ast.walk(tree))[mutant.node]
    new = list(_variants(old))[mutant.variant]
    for parent in ast.walk(tree):
        for field, value in ast.iter_fields(parent):
            if value is old:
                setattr(parent, field, new)
            elif isinstance(value, list):
                value[:] = [new if each is old else each for each in value]
    return ast.fix_missing_locations(tree)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(_WORDS.search(value))


def _visited(
    node: ast.AST, statement: int, scope: str, *, wording: bool
) -> Iterator[tuple[ast.AST, int, str, bool]]:
    """Every node that may be mutated, with the line and the function it belongs to, and whether it
    is text for the user.
    """
    if isinstance(node, ast.stmt) or (isinstance(node, ast.Lambda) and not scope):
        statement = node.lineno
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return  # a docstring
    yield node, statement, scope, wording
    inner = f"{scope}.{node.name}" if isinstance(node, ast.FunctionDef) else f"{scope}.<lambda>"
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "format_spec", "type_params"):
            continue
        inside = field == "body" and isinstance(node, ast.FunctionDef | ast.Lambda)
        worded = wording or (isinstance(node, ast.Call) and _says(node)) or _is_hint(node)
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                text = worded and isinstance(
                    child, ast.Constant | ast.JoinedStr | ast.FormattedValue | ast.keyword
                )
                yield from _visited(
                    child, statement, inner.strip(".") if inside else scope, wording=text
                )


def _says(call: ast.Call) -> bool:
    """Whether this call words an error or a note."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    return name.lower().endswith("error") or name in ("note", "refusal")


def _is_hint(node: ast.AST) -> bool:
    return isinstance(node, ast.JoinedStr) or (
        isinstance(node, ast.keyword) and node.arg in ("hint", "message", "why_entry")
    )


def _with(node: ast.AST, **fields: object) -> ast.AST:
    new = copy.copy(node)
    for name, value in fields.items():
        setattr(new, name, value)
    return new


def _without(items: list[ast.expr], index: int) -> list[ast.expr]:
    return items[:index] + items[index + 1 :]


def _variants(node: ast.AST) -> Iterator[ast.AST]:
    """What a node is changed into."""
    match node:
        case ast.Compare(ops=ops):
            for index, op in enumerate(ops):
                for kind in _COMPARISONS[type(op)]:
                    yield _with(node, ops=[*ops[:index], kind(), *ops[index + 1 :]])
        case ast.BoolOp(op=op, values=values):
            yield _with(node, op=ast.And() if isinstance(op, ast.Or) else ast.Or())
            for index in range(len(values)):
                left = _without(values, index)
                yield left[0] if len(left) == 1 else _with(node, values=left)
        case ast.BinOp(op=op) | ast.AugAssign(op=op):
            if type(op) in _OPERATORS:
                yield _with(node, op=_OPERATORS[type(op)]())
            if isinstance(node, ast.AugAssign):
                yield ast.copy_location(ast.Pass(), node)
        case ast.UnaryOp(operand=operand):
            yield operand
        case ast.If() | ast.IfExp():
            for truth in (True, False):
                yield _with(node, test=ast.copy_location(ast.Constant(truth), node.test))
        case ast.While():
            yield _with(node, test=ast.copy_location(ast.Constant(value=False), node.test))
        case ast.comprehension(ifs=[_, *_]):
            yield _with(node, ifs=[])
        case ast.Constant(value=value):
            yield from (
                ast.copy_location(ast.Constant(other), node) for other in _other_constants(value)
            )
        case ast.Return(value=ast.expr() as value) if not (
            isinstance(value, ast.Constant) and value.value is None
        ):
            yield _with(node, value=ast.copy_location(ast.Constant(value=None), value))
        case ast.Expr(value=ast.Call()) | ast.Raise() | ast.Continue() | ast.Break() | ast.Delete():
            yield ast.copy_location(ast.Pass(), node)
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
            yield ast.copy_location(ast.Pass(), node)
        case ast.Call(func=func, args=args, keywords=keywords):
            if len(args) > 1 and not any(isinstance(each, ast.Starred) for each in args[:2]):
                yield _with(node, args=[args[1], args[0], *args[2:]])
            for index, keyword in enumerate(keywords):
                if keyword.arg and not _is_hint(keyword):
                    yield _with(node, keywords=keywords[:index] + keywords[index + 1 :])
            if isinstance(func, ast.Name) and func.id in _TWINS:
                yield _with(node, func=_with(func, id=_TWINS[func.id]))
            if isinstance(func, ast.Attribute) and func.attr in _TWINS:
                yield _with(node, func=_with(func, attr=_TWINS[func.attr]))
        case ast.Slice(lower=lower, upper=upper, step=step):
            for field, bound in (("lower", lower), ("upper", upper), ("step", step)):
                if bound is not None:
                    yield _with(node, **{field: None})


def _other_constants(value: object) -> tuple[bool | int | float | str, ...]:
    match value:
        case bool():
            return (not value,)
        case int() | float():
            return (value + 1, value - 1)
        case str():
            return ("mutant" if not value else f"{value}_",)
    return ()


@cache
def live_functions() -> list[FunctionType]:
    """Every function of the process, those of nested scopes too."""
    gc.unfreeze()  # else what was loaded before the tests is left out
    # Asked for the type, since isinstance may run code of the object.
    return [each for each in gc.get_objects() if type(each) is FunctionType]
