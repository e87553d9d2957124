"""Slips as expressions: the subject as somebody who made the slip would have written it.

Calls are rewritten on a copy of the syntax tree; a variant that changes nothing is left out.
"""

import ast
import copy
from collections.abc import Callable, Iterator, Mapping, Set
from contextlib import suppress
from itertools import islice
from typing import TypeAlias

from gradcli.catalogue.functions import ACTIVATIONS, LOSSES
from gradcli.catalogue.slips import LOG_FACTORS, Feature
from gradcli.evaluate.trace import program_of
from gradcli.language.expressions.program import Expression
from gradcli.language.expressions.substitution import filled, parsed
from gradcli.results import Subject

Rewrite: TypeAlias = Callable[[ast.Call, str], ast.expr | None]
"""From a call and the path of its function to its replacement; None leaves the call as it is."""

_REDUCED = {
    entry.torch for entry in LOSSES.values() if "reduction" in {p.name for p in entry.parameters}
}
_COMPARED = {path for entry in LOSSES.values() for path in (entry.torch, entry.path)}
_SUMS = {entry.path: entry.code for entry in LOSSES.values() if entry.reduction == "sum"}
"""Losses that are sums by definition, and their code."""
_ELEMENTWISE = {
    path
    for entry in ACTIVATIONS.values()
    if not entry.mixes and entry.derivative is not None
    for path in (entry.torch, f"torch.{entry.name}", f"Tensor.{entry.name}", entry.path)
}
_MODULES = {entry.name.replace("_", "") for entry in ACTIVATIONS.values() if not entry.mixes}
_LOGARITHMS = frozenset(
    {"log", "log2", "log10", "xlogy", "log_softmax", "logsigmoid", "LogSoftmax", "LogSigmoid", "cross_entropy",
     "CrossEntropyLoss", "binary_cross_entropy", "BCELoss", "binary_cross_entropy_with_logits", "BCEWithLogitsLoss"}
)  # fmt: skip
_SOFTMAXES = frozenset({"softmax", "log_softmax", "Softmax", "LogSoftmax"})
_CROSS_ENTROPIES = frozenset({"cross_entropy", "CrossEntropyLoss"})

_SQUARES = frozenset({"square", "mse_loss", "MSELoss"})
_PRODUCTS = frozenset(
    {"matmul", "mm", "mv", "bmm", "addmm", "baddbmm", "linear", "einsum", "dot", "outer"}
)
NODES = 2000
"""Nodes of a syntax tree that are searched for reasons, at most."""


def features(subject: Subject, name: str) -> frozenset[Feature]:
    """What the path from the input `name` contains, for the reasons of slips."""
    program = program_of(subject)
    nodes = list(islice(ast.walk(program.tree), NODES + 1))
    if len(nodes) > NODES:
        return frozenset()
    names = {name}
    for line in program.tree.body:  # the steps that are computed from the input
        names |= _bound(line) if _reads(line, names) else set()
    live = [node for node in nodes if isinstance(node, ast.expr) and _reads(node, names)]
    reasons: set[Feature] = set()
    squares = [node for node in live if _is_square(node, program)]
    if squares:
        reasons.add("square")
    lines = (line for line in program.tree.body if any(n in squares for n in ast.walk(line)))
    squared = {name for line in lines for name in _bound(line)}
    half_sums = (_is_halved(parsed(_SUMS.get(_path(node, program), "0"))) for node in squares)
    halves = [inner for node in live if _is_halved(node) for inner in ast.walk(node)]
    named = any(isinstance(inner, ast.Name) and inner.id in squared for inner in halves)
    if named or any(inner in squares for inner in halves) or any(half_sums):
        reasons.add("half-square")
    for node in live:
        path, operator = _path(node, program), node.op if isinstance(node, ast.BinOp) else None
        if isinstance(operator, ast.Sub) or path in _COMPARED:
            reasons.add("difference")
        if isinstance(operator, ast.MatMult) or path.rpartition(".")[2] in _PRODUCTS:
            reasons.add("product")
    return frozenset(reasons)


def _bound(line: ast.stmt) -> set[str]:
    """The names that a statement assigns."""
    names = (node for node in ast.walk(line) if isinstance(node, ast.Name))
    return {node.id for node in names if isinstance(node.ctx, ast.Store)}


def _reads(node: ast.AST, names: Set[str]) -> bool:
    return any(isinstance(inner, ast.Name) and inner.id in names for inner in ast.walk(node))


def _path(node: ast.AST, program: Expression) -> str:
    """The path of the function that a node calls, or of a module made and called at once."""
    module = program.calls.get(node.func) if isinstance(node, ast.Call) else None
    step = module or program.calls.get(node)
    return step.name if step else ""


def _is_square(node: ast.AST, program: Expression) -> bool:
    """Whether a node is the second power of something, or a loss made of squares."""
    path = _path(node, program)
    last = path.rpartition(".")[2]
    match node:
        case ast.BinOp():
            return isinstance(node.op, ast.Pow) and _is_number(node.right, 2)
        case ast.Call(args=[*_, exponent]) if last == "pow":
            return _is_number(exponent, 2)
    return last in _SQUARES or path in _SUMS


def _is_halved(node: ast.AST) -> bool:
    """Whether a node is half of something: `0.5*e`, `e/2`, `1/2*e`."""
    match node:
        case ast.BinOp(op=ast.Mult()):
            return _is_half(node.left) or _is_half(node.right)
        case ast.BinOp(op=ast.Div()):
            return _is_number(node.right, 2)
    return False


def _is_half(node: ast.expr) -> bool:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        return _is_number(node.left, 1) and _is_number(node.right, 2)
    return _is_number(node, 0.5)


def _is_number(node: ast.AST, number: float) -> bool:
    return isinstance(node, ast.Constant) and node.value == number


def variants(subject: Subject, name: str) -> Iterator[Subject]:
    """The subject in each form of the slip's variant `name`; none if the slip is impossible.

    Also none if the expression cannot be unparsed: it is too deep, or has arguments under names that
    the user did not write.
    """
    for rewrite in _REWRITES.get(name, ()):
        program = program_of(subject)
        if program.held:
            return
        with suppress(RecursionError):
            tree = copy.deepcopy(program.tree)
            pairs = zip(ast.walk(program.tree), ast.walk(tree), strict=True)
            calls = program.calls
            paths = {copied: calls[node].name for node, copied in pairs if node in calls}
            rewriter = _Rewriter(paths, rewrite)
            text = ast.unparse(ast.fix_missing_locations(rewriter.visit(tree)))
            if rewriter.changed:
                yield subject._replace(expression=text, program=None)


class _Rewriter(ast.NodeTransformer):
    """Replaces calls by other expressions, the innermost first."""

    def __init__(self, paths: Mapping[ast.AST, str], rewrite: Rewrite) -> None:
        self._paths, self._rewrite = paths, rewrite
        self.changed = False

    def visit_Call(self, node: ast.Call) -> ast.expr:
        # A module that is called at once, `nn.Sigmoid()(z)`, goes by the name of the module.
        path = self._paths.get(node.func, "") or self._paths.get(node, "")
        made_here = not isinstance(node.func, ast.Call) and path.startswith("nn.")
        self.generic_visit(node)
        if made_here and path.rpartition(".")[2] not in _LOSS_MODULES:
            return node
        replacement = self._rewrite(node, path)
        if replacement is None:
            return node
        self.changed = True
        return replacement


def _operand(node: ast.Call, path: str) -> ast.expr | None:
    """What the function is applied to: the object of a method, or the first argument."""
    if path.startswith("Tensor.") and isinstance(node.func, ast.Attribute):
        return node.func.value
    return node.args[0] if node.args else None


def _reduce(of: str, to: str) -> Rewrite:
    """`of` replaced by `to` in reductions, both calls and those that losses make."""

    def rewrite(node: ast.Call, path: str) -> ast.expr | None:
        last = path.rpartition(".")[2]
        match node.func:
            case ast.Attribute(value=value) if last == of:
                return ast.Call(ast.Attribute(value, to, ast.Load()), node.args, node.keywords)
            case ast.Name() if last == of:
                return ast.Call(ast.Name(to, ast.Load()), node.args, node.keywords)
        if path in _SUMS and of == "sum":
            tree = filled(_SUMS[path], {"reduction": "'mean'"})
            next(part for part in ast.walk(tree) if isinstance(part, ast.Call)).args = node.args
            return tree
        if path in _REDUCED or last in _LOSS_MODULES:
            return _with_reduction(node, of, to)
        return None

    return rewrite


_LOSS_MODULES = frozenset({"MSELoss", "L1Loss", "SmoothL1Loss", "HuberLoss", "BCELoss", "BCEWithLogitsLoss", "CrossEntropyLoss",
                           "NLLLoss", "KLDivLoss", "PoissonNLLLoss", "SoftMarginLoss"})  # fmt: skip


def _with_reduction(node: ast.Call, of: str, to: str) -> ast.expr | None:
    """A loss with the reduction `to`, if it has `of` now."""
    if isinstance(node.func, ast.Call):
        return None  # the module has the reduction, and was visited before
    value = next((word.value for word in node.keywords if word.arg == "reduction"), None)
    now = value.value if isinstance(value, ast.Constant) else "mean"
    if now != of and not (now == "batchmean" and of == "mean"):
        return None
    rest = [word for word in node.keywords if word.arg != "reduction"]
    return ast.Call(node.func, node.args, [*rest, ast.keyword("reduction", ast.Constant(to))])


def _straight_through(node: ast.Call, path: str) -> ast.expr | None:
    """An activation with its value but slope 1: the slip of omitting its derivative."""
    module = isinstance(node.func, ast.Call) and path.rpartition(".")[2].lower() in _MODULES
    operand = _operand(node, path)
    if operand is None or not (module or path in _ELEMENTWISE):
        return None
    z, call = ast.unparse(operand), ast.unparse(node)
    return parsed(f"(({z}) + ({call} - ({z})).detach())")


def _times(factor: float) -> Rewrite:
    """Every logarithm multiplied by a factor, as for another base."""

    def rewrite(node: ast.Call, path: str) -> ast.expr | None:
        last = path.rpartition(".")[2]
        computed = isinstance(node.func, ast.Call) or not path.startswith("nn.")
        if not computed or last not in _LOGARITHMS:
            return None
        return parsed(f"({ast.unparse(node)}*{factor!r})")

    return rewrite


def _twice(node: ast.Call, path: str) -> ast.expr | None:
    """Softmax before a function that applies softmax itself."""
    last, operand = path.rpartition(".")[2], _operand(node, path)
    if operand is None or last not in _SOFTMAXES | _CROSS_ENTROPIES:
        return None
    if path.startswith("nn.") and not isinstance(node.func, ast.Call):
        return None
    inner = ast.unparse(operand)
    dim = f"1 if ({inner}).ndim > 1 else 0" if last in _CROSS_ENTROPIES else "-1"
    once = parsed(f"torch.softmax({inner}, dim={dim})")
    if operand in node.args[:1]:
        return ast.Call(node.func, [once, *node.args[1:]], node.keywords)
    assert isinstance(node.func, ast.Attribute)
    return ast.Call(ast.Attribute(once, node.func.attr, ast.Load()), node.args, node.keywords)


_REWRITES: Mapping[str, tuple[Rewrite, ...]] = {
    "mean": (_reduce("sum", "mean"),),
    "sum": (_reduce("mean", "sum"),),
    "straight-through": (_straight_through,),
    "log-base": tuple(_times(factor) for factor in LOG_FACTORS),
    "double-softmax": (_twice,),
}
"""How an expression is rewritten for each variant of the table of slips."""
