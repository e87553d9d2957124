"""The rule of every function, method, property and module by its name. What is not here has none.

Elementwise functions and losses are those of the catalogue.
"""

import ast
import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from gradcli.algebra.elementwise import fn, is_condition
from gradcli.algebra.nodes import ONE, ZERO, Node, NoRuleError
from gradcli.algebra.products import root
from gradcli.algebra.rules import layers, matrices, places, reducing, sides
from gradcli.algebra.rules.reducing import Rule
from gradcli.algebra.walk import Value, elementwise, formula, plain, tensor
from gradcli.catalogue import derivative_rules
from gradcli.catalogue.functions import CATALOGUE

_BY_MODULE = {name.replace("_", ""): name for name in CATALOGUE}
_ALIASES = {
    **{alias: name for alias, name in derivative_rules.SYNONYMS.items() if name.isidentifier()},
    "true_divide": "div", "divide": "div", "subtract": "sub", "multiply": "mul", "float_power": "pow", "mm": "matmul",
    "mv": "matmul", "bmm": "matmul", "frobenius_norm": "norm", "linear_norm": "norm",
    "swapaxes": "transpose", "swapdims": "transpose", "movedim": "moveaxis", "view_as": "reshape_as",
    "inner": "dot", "vdot": "dot", "logsoftmax": "log_softmax", "view": "reshape", "ravel": "flatten", "t": "T",
    "TripletMarginLoss": "triplet_margin_loss", "MarginRankingLoss": "margin_ranking_loss",
    "gammaln": "lgamma", "psi": "digamma",
    "inverse": "inv", "diag": "diagonal", "broadcast_to": "expand", "average": "mean", "shape": "size", "dim": "ndim",
}  # fmt: skip
_KEYS = {
    "axis": "dim", "axes": "dim", "dims": "dim", "keepdims": "keepdim", "ddof": "correction", "ord": "p",
}  # fmt: skip
_IGNORED = frozenset({"dtype", "inplace", "device", "requires_grad"})


def apply(name: str, arguments: Sequence[Any], keywords: Mapping[str, Any]) -> Any:
    """The value of a function, method, property or module. Raises NoRuleError."""
    name = name.removeprefix("catalogue.")
    entry = CATALOGUE.get(name) or CATALOGUE.get(_BY_MODULE.get(name.lower(), ""))
    if entry is not None:
        name = entry.name
        if name not in _RULES:
            return layers.catalogued(entry, arguments, keywords)
    name = _ALIASES.get(name, name)
    if name in ("max", "min") and len(arguments) > 1 and isinstance(arguments[1], Value):
        name += "imum"
    for key in (name, name.lower()):
        if key in _RULES:
            named = {_KEYS.get(k, k): value for k, value in keywords.items() if k not in _IGNORED}
            try:
                return _RULES[key](*arguments, **named)
            except (TypeError, AttributeError, IndexError, KeyError, ValueError) as error:
                raise NoRuleError(f"no rule for {name} with these arguments") from error
    if name in derivative_rules.FORMULAS and name.isidentifier() and not keywords:
        return _elementwise(name, *arguments)
    raise NoRuleError(f"no rule for {name}")


def _defined(name: str, /, *arguments: Any, **keywords: Any) -> Value:
    parameters, text = _DEFINITIONS[name]
    names: dict[str, Any] = {}
    for parameter in parameters.split():
        key, _, default = parameter.partition("=")
        names[key] = ast.literal_eval(default or "None")
    given = dict(zip(names, arguments, strict=False)) | keywords
    if len(arguments) > len(names) or given.keys() - names.keys():
        raise TypeError("other parameters")
    return formula(text, names | given)


_DEFINITIONS: Mapping[str, tuple[str, str]] = {
    "add": ("input other alpha=1", "input + alpha*other"), "sub": ("input other alpha=1", "input - alpha*other"),
    "mul": ("input other", "input*other"), "div": ("input other", "input/other"),
    "pow": ("input exponent", "input**exponent"), "neg": ("input", "-input"), "square": ("input", "input**2"),
    "rsqrt": ("input", "1/sqrt(input)"), "reciprocal": ("input", "1/input"), "exp2": ("input", "2**input"),
    "expm1": ("input", "exp(input) - 1"), "log1p": ("input", "log(1 + input)"), "log2": ("input", "log(input)/log(2)"),
    "log10": ("input", "log(input)/log(10)"), "logit": ("input", "log(input/(1 - input))"),
    "xlogy": ("input other", "input*log(other)"), "hypot": ("input other", "sqrt(input**2 + other**2)"),
    "sinc": ("input", "sin(pi*input)/(pi*input)"), "lerp": ("input end weight", "input + weight*(end - input)"),
    "addcmul": ("input tensor1 tensor2 value=1", "input + value*tensor1*tensor2"),
    "addcdiv": ("input tensor1 tensor2 value=1", "input + value*tensor1/tensor2"),
    "addmm": ("input mat1 mat2 beta=1 alpha=1", "beta*input + alpha*(mat1 @ mat2)"),
    "addmv": ("input mat vec beta=1 alpha=1", "beta*input + alpha*(mat @ vec)"),
    "baddbmm": ("input batch1 batch2 beta=1 alpha=1", "beta*input + alpha*(batch1 @ batch2)"),
    "addr": ("input vec1 vec2 beta=1 alpha=1", "beta*input + alpha*outer(vec1, vec2)"),
    "dot": ("input other", "sum(input*other)"), "outer": ("input vec2", "input[:, None]*vec2"),
    "entr": ("input", "-input*log(input)"), "log_ndtr": ("input", "log(ndtr(input))"),
    "dist": ("input other p=2", "norm(flatten(input - other), p)"),
    "kron": ("input other",
             "(input[:, None, :, None]*other[:, None]).reshape(len(input)*len(other), -1)"),
    "linear": ("x weight bias=None",
               "z = x @ (weight.mT if weight.ndim > 1 else weight); z if bias == None else z + bias"),
    "logsumexp": ("value dim=None keepdim=False", "log(sum(exp(value), dim, keepdim))"),
    "logcumsumexp": ("input dim", "log(cumsum(exp(input), dim))"),
    "trace": ("input", "sum(diagonal(input))"), "solve": ("A B", "inv(A) @ B"),
    "bilinear": ("input1 input2 weight", "einsum('bi,oij,bj->bo', input1, weight, input2)"),
    "clamp": ("input min=None max=None",
              "x = input if min == None else maximum(input, min); x if max == None else minimum(x, max)"),
    "gt": ("input other", "input > other"), "ge": ("input other", "input >= other"),
    "lt": ("input other", "input < other"), "le": ("input other", "input <= other"),
    "eq": ("input other", "input == other"), "ne": ("input other", "input != other"),
    "bool": ("input", "input != 0"), "logical_not": ("input", "input == 0"),
    "logical_and": ("input other", "(input != 0) & (other != 0)"),
    "logical_or": ("input other", "(input != 0) | (other != 0)"),
    "dropout": ("input p=0.5 training=True", "input"),  # what is random is refused before
    "masked_fill": ("input mask value", "where(mask, value, input)"),
    "diff": ("input", "input[1:] - input[:-1]"), "embedding": ("input weight", "weight[input]"),
    "softmin": ("input dim=None", "softmax(-input, dim)"),
    "log_softmax": ("input dim=None", "log(softmax(input, dim))"), "logsigmoid": ("input", "log(sigmoid(input))"),
    "normalize": ("input p=2 dim=1 eps=0", "input/norm(input, p, dim, True)"),
    "cosine_similarity": ("x1 x2 dim=1 eps=0", "sum(x1*x2, dim)/(norm(x1, 2, dim)*norm(x2, 2, dim))"),
    "pairwise_distance": ("x1 x2 p=2 eps=1e-6", "norm(x1 - x2 + eps, p, -1)"),
    "cdist": ("x1 x2 p=2", "norm(x1[:, None] - x2, p, -1)"),
    "scaled_dot_product_attention": ("query key value attn_mask=None dropout_p=0.0 is_causal=False scale=None",
        "s = query @ key.mT/(sqrt(query.shape[-1]) if scale == None else 1/scale)"
        "; s = s if attn_mask == None else s + attn_mask"
        "; softmax(where(tril(ones(query.shape[-2], key.shape[-2])) > 0, s, -inf) if is_causal else s, -1) @ value"),
    "gaussian_nll_loss": ("input target var", "mean(log(var) + (input - target)**2/var)/2"),
    "triplet_margin_loss": ("anchor positive negative margin=1.0 p=2 eps=1e-6",
        "mean(relu(margin + norm(anchor - positive + eps, p, -1) - norm(anchor - negative + eps, p, -1)))"),
    "margin_ranking_loss": ("input1 input2 target margin=0", "mean(relu(margin - target*(input1 - input2)))"),
}  # fmt: skip
"""Parameters, some with defaults, and the definition of functions that others make up."""


def _elementwise(name: str, *values: Any) -> Value:
    return elementwise(partial(fn, name), *map(tensor, values))


def _where(condition: Any, *branches: Any) -> Value:
    return _elementwise("where", _elementwise("!=", condition, 0), *branches)


def _attention(query: Any, key: Any, value: Any, attn_mask: Any = None, **more: Any) -> Value:
    """Attention, whose mask says which scores count or is added to them."""
    if isinstance(attn_mask, Value) and is_condition(attn_mask.node):
        attn_mask = _where(attn_mask, 0, -math.inf)
    return _defined("scaled_dot_product_attention", query, key, value, attn_mask, **more)


def _full(number: Node, *shape: Any) -> Value:
    counts = sides.listed(shape)
    return Value(number, tuple(None if plain(n) == 1 else sides.side_of(n) for n in counts))


_RULES: Mapping[str, Rule] = {
    **{name: partial(_defined, name) for name in _DEFINITIONS},
    **reducing.RULES, **matrices.RULES, **sides.RULES, **places.RULES, **layers.RULES,
    "where": _where, "scaled_dot_product_attention": _attention,
    **{name: partial(_elementwise, name) for name in (
        "maximum", "minimum", "exp", "detach", "sigmoid", "tanh", "relu", "polygamma",
        # Without a derivative here; their value may be in the gradient by another input.
        "i0e", "i1e", "erfcx", "ndtri", "multigammaln", "zeta", "bessel_j0", "bessel_j1", "airy_ai",
    )},
    "sqrt": lambda v: elementwise(root, tensor(v)),
    "zeros": partial(_full, ZERO), "ones": partial(_full, ONE),
    "zeros_like": lambda v: Value(ZERO, v.sides), "ones_like": lambda v: Value(ONE, v.sides),
    "full": lambda shape, number: _full(tensor(number).node, shape),
    "full_like": lambda v, number: Value(tensor(number).node, v.sides),
    "float": lambda value, *_: float(value) if isinstance(value, str) else value,
    **dict.fromkeys(("clone", "contiguous", "double", "to", "type_as", "positive", "identity"),
                    lambda value, *_, **more: value),
}  # fmt: skip
"""An activation or a loss among them is better known to the algebra by this definition than by that
of the catalogue."""
