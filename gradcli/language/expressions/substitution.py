"""Formulas with names replaced by expressions: `2*(pred - target)` becomes `2*(p - y)`."""

import ast
import re
from collections.abc import Mapping
from typing import Any

_ZERO, _ONE = ast.Constant(0), ast.Constant(1)
_TIGHT = re.compile(r" (\*\*|[*/]) ")


def spelled(node: ast.AST) -> str:
    """An expression as ASCII text, with products and powers without blanks: `w*x + b`."""
    return _TIGHT.sub(r"\1", ast.unparse(node)).encode("ascii", "backslashreplace").decode()


def parsed(text: str) -> ast.expr:
    """The syntax tree of an expression. Raises what Python raises for invalid text."""
    return ast.parse(text, mode="eval").body


def substituted(formula: str, meaning: Mapping[str, Any]) -> str:
    """`formula` with each name in `meaning` replaced, by an expression (a text) or a value.

    The result is simplified: conditions on values, factors 1, terms 0. A value of None, such as a
    weight that was not given, is a factor 1, and so is an element of it.
    """
    return spelled(_Substitution(meaning).visit(parsed(formula)))


def filled(formula: str, meaning: Mapping[str, ast.expr | str]) -> ast.expr:
    """`formula` with each name in `meaning` replaced by an expression, and not simplified."""
    tree: ast.expr = _Filling(meaning).visit(parsed(formula))
    return tree


class _Filling(ast.NodeTransformer):
    """Replaces names."""

    def __init__(self, meaning: Mapping[str, Any]) -> None:
        self._meaning = meaning

    def visit_Name(self, node: ast.Name) -> ast.expr:
        value = self._meaning.get(node.id, node)
        if isinstance(value, str):
            return parsed(value)
        return value if isinstance(value, ast.expr) else ast.Constant(value)


class _Substitution(_Filling):
    """Replaces names, then simplifies operations on constants, from the inside out."""

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        self.generic_visit(node)
        return node.value if _is(node.value, None) else node

    def visit_Call(self, node: ast.Call) -> ast.expr:
        """The function's own name is not replaced."""
        node.args = [self.visit(argument) for argument in node.args]
        return node.args[0] if len(node.args) == 1 and _is(node.args[0], None) else node

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.expr:
        self.generic_visit(node)
        return ast.UnaryOp(node.op, _ONE) if _is(node.operand, None) else node

    def visit_IfExp(self, node: ast.IfExp) -> ast.expr:
        self.generic_visit(node)
        match node.test:
            case ast.Constant(value=truth):
                return node.body if truth else node.orelse
            case ast.Compare(
                left=ast.Constant(value=left), ops=[op], comparators=[ast.Constant(value=right)]
            ):
                return node.body if (left == right) is isinstance(op, ast.Eq) else node.orelse
        return node

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        self.generic_visit(node)
        left, right = node.left, node.right
        match node.op:
            case ast.Mult() if _is(left, 0) or _is(right, 0):
                return _ZERO
            case ast.Mult() if _is_one(left):
                return right
            case ast.Mult() if isinstance(left, ast.UnaryOp) and _is_one(left.operand):
                return ast.UnaryOp(left.op, right)
            case ast.Mult() | ast.Div() if _is_one(right):
                return left
            case ast.Pow() if _is(right, 1):
                return left
            case ast.Add() if _is(left, 0):
                return right
            case ast.Add() | ast.Sub() if _is(right, 0):
                return left
            case ast.Sub() if isinstance(left, ast.Constant) and isinstance(right, ast.Constant):
                return ast.Constant(left.value - right.value)  # type: ignore[operator]
            case ast.Div() if _is(left, None):
                return ast.BinOp(_ONE, ast.Div(), right)
        return node


def _is(node: ast.expr, value: object) -> bool:
    return isinstance(node, ast.Constant) and type(node.value) is not bool and node.value == value


def _is_one(node: ast.expr) -> bool:
    return _is(node, 1) or _is(node, None)
