"""The ledger's rules: for each operation its local derivatives as formulas, or how it passes a gradient on, in words.

A formula is an expression of the operands `a`, `b`, `c` in their order, the result `y`, and the number `n` of elements of
`a`. Nothing is computed from it: the numbers beside it are PyTorch's. Words are completed by the shapes.
"""

from collections.abc import Mapping

SYNONYMS: Mapping[str, str] = {
    "add": "+", "sub": "-", "subtract": "-", "mul": "*", "multiply": "*", "div": "/", "divide": "/", "true_divide": "/",
    "pow": "**", "float_power": "**", "remainder": "%", "matmul": "@", "mm": "@", "mv": "@", "bmm": "@",
    "inner": "dot", "vdot": "dot", "vecdot": "dot", "negative": "neg", "absolute": "abs", "clip": "clamp",
    "arcsin": "asin", "arccos": "acos",
    "arctan": "atan", "arcsinh": "asinh", "arccosh": "acosh", "arctanh": "atanh", "concat": "cat", "concatenate": "cat",
    "fmax": "maximum", "fmin": "minimum", "vector_norm": "norm",
}  # fmt: skip
"""Other names of the operations below."""

FORMULAS: Mapping[str, tuple[str, ...]] = {
    "+": ("1", "1"),
    "-": ("1", "-1"),
    "*": ("b", "a"),
    "/": ("1/b", "-a/b**2"),
    "**": ("b*a**(b - 1)", "a**b*log(a)"),
    "%": ("1", "-floor(a/b)"),
    "neg": ("-1",),
    "abs": ("sign(a)",),
    "square": ("2*a",),
    "sqrt": ("1/(2*sqrt(a))",),
    "rsqrt": ("-1/(2*a*sqrt(a))",),
    "reciprocal": ("-1/a**2",),
    "exp": ("exp(a)",),
    "exp2": ("2**a*log(2)",),
    "expm1": ("exp(a)",),
    "log": ("1/a",),
    "log2": ("1/(a*log(2))",),
    "log10": ("1/(a*log(10))",),
    "log1p": ("1/(1 + a)",),
    "logit": ("1/(a*(1 - a))",),
    "sin": ("cos(a)",),
    "cos": ("-sin(a)",),
    "tan": ("1/cos(a)**2",),
    "asin": ("1/sqrt(1 - a**2)",),
    "acos": ("-1/sqrt(1 - a**2)",),
    "atan": ("1/(1 + a**2)",),
    "sinh": ("cosh(a)",),
    "cosh": ("sinh(a)",),
    "asinh": ("1/sqrt(a**2 + 1)",),
    "acosh": ("1/sqrt(a**2 - 1)",),
    "atanh": ("1/(1 - a**2)",),
    "erf": ("2/sqrt(pi)*exp(-a**2)",),
    "erfc": ("-2/sqrt(pi)*exp(-a**2)",),
    "lgamma": ("digamma(a)",),
    "xlogy": ("log(b)", "a/b"),
    "atan2": ("b/(a**2 + b**2)", "-a/(a**2 + b**2)"),
    "hypot": ("a/y", "b/y"),
    "logaddexp": ("exp(a - y)", "exp(b - y)"),
    "floor": ("0",),
    "ceil": ("0",),
    "round": ("0",),
    "trunc": ("0",),
    "sign": ("0",),
}
"""Elementwise operations: dy/d each operand, where all operands are given by place."""

WHOLE: Mapping[str, tuple[str, ...]] = {
    "sum": ("1",),
    "mean": ("1/n",),
    "norm": ("a/y",),
    "@": ("b", "a"),
    "dot": ("b", "a"),
    "std": ("(a - mean(a))/((n - 1)*y)",),
    "var": ("2*(a - mean(a))/(n - 1)",),
}
"""Operations that give one number: dy/d each element of each operand."""

WITH_MORE: Mapping[str, frozenset[str]] = {"norm": frozenset({"2", "2.0"})}
"""Further arguments with which the formulas of `WHOLE` still hold."""
ANY_MORE = frozenset({"sum", "mean"})
"""Those that hold whatever the further arguments, once the result is one number."""

CASES: Mapping[str, tuple[str, ...]] = {
    "where": ("", "1 where it is chosen, else 0", "1 where it is chosen, else 0"),
    "maximum": ("1 where it is the larger, else 0",) * 2,
    "minimum": ("1 where it is the smaller, else 0",) * 2,
    "clamp": ("1 inside the bounds, else 0",),
    "prod": ("the product of the others",),
    "max": ("1 at the largest, split among ties",),
    "min": ("1 at the smallest, split among ties",),
    "amax": ("1 at the largest, split among ties",),
    "amin": ("1 at the smallest, split among ties",),
    "median": ("1 at the median, else 0",),
}
"""Local derivatives that are told better in words than as formulas, by the place of the operand."""

_SHAPED = "upstream in the operand's shape"
_TURNED = "upstream with its dimensions in the operand's order"
_CHOSEN = "upstream at the chosen elements, 0 elsewhere"
_PART = "the part of upstream for this operand"
_REPEATED = "upstream, summed over the repeats"

MOVES: Mapping[str, str] = {
    **dict.fromkeys(
        ("reshape", "view", "view_as", "reshape_as", "flatten", "ravel", "unflatten", "squeeze", "unsqueeze", "atleast_1d",
         "atleast_2d", "atleast_3d", "contiguous", "clone", "positive", "alias", "real", "to", "float", "double", "half",
         "bfloat16", "type_as"), _SHAPED),
    **dict.fromkeys(
        ("T", "mT", "H", "mH", "t", "transpose", "permute", "movedim", "moveaxis", "swapaxes", "swapdims", "adjoint", "flip",
         "fliplr", "flipud", "roll", "rot90"), _TURNED),
    **dict.fromkeys(
        ("index", "unbind", "select", "narrow", "gather", "take", "take_along_dim", "index_select", "masked_select",
         "diagonal", "diag", "split", "chunk", "tensor_split", "hsplit", "vsplit", "dsplit", "sort", "topk", "kthvalue",
         "tril", "triu", "unfold"), _CHOSEN),
    **dict.fromkeys(("stack", "cat", "hstack", "vstack", "dstack", "column_stack", "row_stack", "block_diag"), _PART),
    **dict.fromkeys(("expand", "expand_as", "broadcast_to", "repeat", "repeat_interleave", "tile"), _REPEATED),
}  # fmt: skip
"""Operations that move numbers and change none, whatever the shapes."""

ALONG: Mapping[str, str] = {
    "sum": "upstream, repeated along the summed dimension",
    "mean": "upstream / number of terms, repeated along the dimension",
    "prod": "upstream * product / operand",
    "max": _CHOSEN,
    "min": _CHOSEN,
    "median": _CHOSEN,
    "mode": _CHOSEN,
    "amax": "upstream at the largest, split among ties, 0 elsewhere",
    "amin": "upstream at the smallest, split among ties, 0 elsewhere",
    "norm": "upstream * operand / norm",
    "logsumexp": "upstream * softmax(operand)",
    "softmax": "p * (upstream - sum(upstream * p))",
    "log_softmax": "upstream - softmax(operand) * sum(upstream)",
    "softmin": "-p * (upstream - sum(upstream * p))",
    "cumsum": "upstream, summed from the end",
}
"""Operations along a dimension, where their result is more than one number."""

ODD = frozenset({"mse", "l1", "smooth_l1", "huber", "sse", "half_sse", "l2_norm"})
"""Losses of pred - target alone: their derivative by the target is that by pred with the other sign."""

LINEAR = ("upstream @ weight", "upstream^T @ input", "upstream, summed over the batch")
"""F.linear, by the place of the operand."""

ENDED = "no gradient passes"
UNUSED = "the result does not use it"
