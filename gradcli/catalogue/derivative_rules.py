"""The ledger's rules: each operation's local derivatives as formulas, or its backward in words.

Which rule is shown depends on the operation, its settings and the dimensions of its operands, never
on their numbers.

A formula is an expression of the operands `a`, `b`, `c` in their order, the result `y`, and the
number `n` of elements of `a`. Nothing is computed from it: the numbers shown are PyTorch's. Shapes
are added to rules in words. `upstream` is the gradient with respect to the result, `operand` the
operand of the rule, `result` the result of the operation.
"""

import math
from collections.abc import Mapping

SYNONYMS: Mapping[str, str] = {
    "add": "+", "sub": "-", "subtract": "-", "mul": "*", "multiply": "*", "div": "/", "divide": "/", "true_divide": "/",
    "pow": "**", "float_power": "**", "remainder": "%", "matmul": "@", "mm": "@", "mv": "@", "bmm": "@",
    "vdot": "dot", "vecdot": "dot", "negative": "neg", "absolute": "abs", "clip": "clamp",
    "arcsin": "asin", "arccos": "acos",
    "arctan": "atan", "arcsinh": "asinh", "arccosh": "acosh", "arctanh": "atanh", "concat": "cat", "concatenate": "cat",
    "fmax": "maximum", "fmin": "minimum", "vector_norm": "norm", "ger": "outer", "upsample": "interpolate",
    "dropout1d": "dropout", "dropout2d": "dropout", "dropout3d": "dropout", "feature_dropout": "dropout",
    "arctan2": "atan2",
    "zeropad": "pad", "constantpad": "pad", "reflectionpad": "pad with copies", "replicationpad": "pad with copies",
    "circularpad": "pad with copies", "constant_pad_nd": "pad", "upsample_bilinear": "interpolate",
    "upsample_nearest": "interpolate", "upsampling_bilinear": "interpolate", "upsampling_nearest": "interpolate",
    "cross_map_lrn": "local_response_norm", "multihead_attention": "multi_head_attention_forward",
}  # fmt: skip
"""Other names of the operations below."""

FORMULAS: Mapping[str, tuple[str, ...]] = {
    "+": ("1", "1"), "-": ("1", "-1"), "*": ("b", "a"), "/": ("1/b", "-a/b**2"), "**": ("b*a**(b - 1)", "a**b*log(a)"),
    "%": ("1", "-floor(a/b)"), "neg": ("-1",), "abs": ("sign(a)",), "square": ("2*a",), "sqrt": ("1/(2*sqrt(a))",),
    "rsqrt": ("-1/(2*a*sqrt(a))",), "reciprocal": ("-1/a**2",), "exp": ("exp(a)",), "exp2": ("2**a*log(2)",),
    "expm1": ("exp(a)",), "log": ("1/a",), "log2": ("1/(a*log(2))",), "log10": ("1/(a*log(10))",),
    "log1p": ("1/(1 + a)",), "logit": ("1/(a*(1 - a))",), "sin": ("cos(a)",), "cos": ("-sin(a)",),
    "tan": ("1/cos(a)**2",), "asin": ("1/sqrt(1 - a**2)",), "acos": ("-1/sqrt(1 - a**2)",), "atan": ("1/(1 + a**2)",),
    "sinh": ("cosh(a)",), "cosh": ("sinh(a)",), "asinh": ("1/sqrt(a**2 + 1)",), "acosh": ("1/sqrt(a**2 - 1)",),
    "atanh": ("1/(1 - a**2)",), "erf": ("2/sqrt(pi)*exp(-a**2)",), "erfc": ("-2/sqrt(pi)*exp(-a**2)",),
    "lgamma": ("digamma(a)",), "digamma": ("polygamma(1, a)",), "ndtr": ("exp(-a**2/2)/sqrt(2*pi)",),
    "erfinv": ("sqrt(pi)/2*exp(y**2)",), "i0": ("i1(a)",), "i1": ("i0(a) - y/a",),
    "xlogy": ("log(b)", "a/b"), "atan2": ("b/(a**2 + b**2)", "-a/(a**2 + b**2)"),
    "hypot": ("a/y", "b/y"), "logaddexp": ("sigmoid(a - b)", "sigmoid(b - a)"), "floor": ("0",), "ceil": ("0",),
    "round": ("0",), "trunc": ("0",), "sign": ("0",),
}  # fmt: skip
"""Elementwise operations: dy/d each operand, if all operands are given by position."""

WHOLE: Mapping[str, tuple[str, ...]] = {
    "sum": ("1",), "mean": ("1/n",), "norm": ("a/y",), "@": ("b", "a"), "dot": ("b", "a"), "inner": ("b", "a"),
    "logsumexp": ("exp(a - y)",), "std": ("(a - mean(a))/((n - 1)*y)",), "var": ("2*(a - mean(a))/(n - 1)",),
}  # fmt: skip
"""Operations that give one number: dy/d each element of each operand."""

WITH_MORE: Mapping[str, frozenset[str]] = {"norm": frozenset({"2", "2.0"})}
"""Further arguments with which the formulas of `WHOLE` still hold."""
ANY_MORE = frozenset({"sum", "mean"})
"""Operations of `WHOLE` whose formulas hold with any further arguments, if they give one number."""

CASES: Mapping[str, tuple[str, ...]] = {
    "where": ("", "1 where it is chosen, else 0", "1 where it is chosen, else 0"),
    "maximum": ("1 where it is the larger, 1/2 at a tie, else 0",) * 2,
    "minimum": ("1 where it is the smaller, 1/2 at a tie, else 0",) * 2,
    "fmax": ("1 where it is the larger or at a tie, else 0", "1 where it is the larger, else 0"),
    "fmin": ("1 where it is the smaller or at a tie, else 0", "1 where it is the smaller, else 0"),
    "clamp": ("1 inside the bounds, else 0",),
    "prod": ("the product of the others",),
    **dict.fromkeys(("max", "amax"), ("1 at the largest, split among ties",)),
    **dict.fromkeys(("min", "amin"), ("1 at the smallest, split among ties",)),
    **dict.fromkeys(("median", "nanmedian"), ("1 at the median, split among ties, else 0",)),
}
"""Local derivatives that are clearer in words than as formulas, by the position of the operand."""

_SHAPED = "upstream in the operand's shape"
_TURNED = "upstream with its dimensions in the operand's order"
_MOVED = "upstream with each element back in its place"
_CHOSEN = "upstream at the chosen elements, 0 elsewhere"
_GATHERED = "upstream at the chosen elements, summed where one is chosen several times, 0 elsewhere"
_PART = "the part of upstream for this operand"
_REPEATED = "upstream, summed over the repeats"

MOVES: Mapping[str, str] = {
    **dict.fromkeys(
        ("reshape", "view", "view_as", "reshape_as", "flatten", "ravel", "unflatten", "squeeze", "unsqueeze", "atleast_1d",
         "atleast_2d", "atleast_3d", "contiguous", "clone", "positive", "alias", "real", "to", "float", "double", "half",
         "bfloat16", "type_as", "identity", "conj", "resolve_conj"), _SHAPED),
    **dict.fromkeys(
        ("T", "mT", "H", "mH", "t", "transpose", "permute", "movedim", "moveaxis", "swapaxes", "swapdims", "adjoint"),
        _TURNED),
    **dict.fromkeys(
        ("flip", "fliplr", "flipud", "roll", "rot90", "pixel_shuffle", "pixel_unshuffle", "channel_shuffle", "fftshift",
         "ifftshift"), _MOVED),
    **dict.fromkeys(
        ("index", "unbind", "select", "narrow", "masked_select", "diagonal", "diag", "split", "chunk", "tensor_split",
         "split_with_sizes", "hsplit", "vsplit", "dsplit", "sort", "msort", "topk", "kthvalue", "tril", "triu"), _CHOSEN),
    **dict.fromkeys(("index by numbers", "gather", "take", "take_along_dim", "index_select", "unfold",
                     "combinations"), _GATHERED),
    **dict.fromkeys(("stack", "cat", "hstack", "vstack", "dstack", "column_stack", "row_stack", "block_diag"), _PART),
    **dict.fromkeys(("expand", "expand_as", "broadcast_to", "repeat", "repeat_interleave", "tile",
                     "meshgrid", "broadcast_tensors", "cartesian_prod"), _REPEATED),
}  # fmt: skip
"""Operations that move numbers and change none, whatever the shapes."""

FORWARD: Mapping[str, Mapping[str, str]] = {
    "linear": {"input": "tangent @ weight^T", "weight": "input @ tangent^T", "bias": "tangent"},
    "log_softmax": {"": "tangent - sum(tangent * softmax(operand))"},
    "inv": {"": "-result @ tangent @ result"},
    "solve": {"A": "-solve(A, tangent @ result)"},
    "matrix_exp": {"": "the upper right block of matrix_exp([[operand, tangent], [0, operand]])"},
}
"""How an operation passes on the tangent of an operand, by its role as in RULES, if it does not follow from
how it passes back a gradient: it is not elementwise, does not reduce, and its Jacobian is not
symmetric; or there are plainer words than those for any operation that is linear."""

ALONG: Mapping[str, str] = {
    "sum": "upstream, repeated along the summed dimension",
    "sum_to_size": "upstream, repeated along the summed dimensions",
    "nansum": "upstream, repeated along the summed dimension, 0 where the operand is NaN",
    "mean": "upstream / number of terms, repeated along the dimension",
    "nanmean": "upstream / number of terms, repeated along the dimension, 0 where the operand is NaN",
    "prod": "upstream * the product of the others",
    "var": "upstream*2*(operand - mean(operand))/(n - correction)",
    "std": "upstream*(operand - mean(operand))/((n - correction)*result)",
    **dict.fromkeys(("max", "min", "median", "nanmedian", "mode"), _CHOSEN),
    "aminmax": "upstream at the smallest and at the largest, split among ties, 0 elsewhere",
    "cummax": "upstream, summed at the positions of the running maxima",
    "cummin": "upstream, summed at the positions of the running minima",
    **dict.fromkeys(("quantile", "nanquantile"), "upstream at the neighbours of the quantile, by their weights"),
    "amax": "upstream at the largest, split among ties, 0 elsewhere",
    "amin": "upstream at the smallest, split among ties, 0 elsewhere",
    "logsumexp": "upstream * softmax(operand)",
    "softmax": "p * (upstream - sum(upstream * p))",
    "log_softmax": "upstream - softmax(operand) * sum(upstream)",
    "softmin": "-p * (upstream - sum(upstream * p))",
    "gumbel_softmax": "p * (upstream - sum(upstream * p)) / tau, with p the soft sample",
    "cumsum": "upstream, summed from the end",
    "cumprod": "upstream * the products without this number, summed from it on",
    "logcumsumexp": "exp(operand) * (upstream * exp(-result), summed from the end)",
    "diff": "upstream of the difference before it less that of the one after",
}  # fmt: skip
"""Operations along a dimension, if their result is more than one number."""

_NORMALISED = (
    "(g - mean(g) - n*mean(g*n))/s, with g = upstream*weight, n = (input - mean(input))/s, s = sqrt(var(input) + eps), "
    "mean and var "
)
_WEIGHT = "upstream*n, summed to the shape of weight, with n = result before weight and bias"
_BIAS = "upstream, summed to the shape of bias"
_BY_CHANNEL = "upstream*weight/sqrt(running_var + eps)"
_ATTENTION = (
    "S = P*(G - sum(G*P)), G = upstream @ value.mT, P = softmax(scale*(query @ key.mT) + mask)"
)
_HEADS = (
    "in each head dQ = scale*(S @ K), dK = scale*(S.mT @ Q), dV = dropout(P).mT @ D, with S = P*(G - sum(G*P)), "
    "G = dropout(D @ V.mT) (and what reaches the returned weights), P = softmax(scale*(Q @ K.mT) + mask), "
    "D = upstream @ out_proj_weight"
)
_DISTANCE = "upstream*sign(d)*(abs(d)/result)**(p - 1), with d = x1 - x2 + eps"
_SHARED = "upstream, each number shared among those that it was made from, by their weights"
_SAME = "with the same stride, padding, dilation and groups"
_SPREAD = "upstream / size of the window, spread over each window and added up"
_LARGEST = "upstream put back at the largest of each window, 0 elsewhere"
_LOOKED_UP = "added up at the rows that were looked up, but at padding_idx"
_WRITTEN = "upstream at the places that it was written to"
_OVERWRITTEN = "upstream, 0 where it was overwritten"
AVERAGED = ", over n if the loss is a mean"
"""Ends the rules of losses that have one rule for all reductions."""
_ABOVE = f"where the loss is above 0, else 0{AVERAGED}"
_UNIT = f"with u(d) = sign(d)*(abs(d)/norm(d))**(p - 1), {_ABOVE}"
_COPIED = "upstream without the padding, that of each copy added to what was copied"

RULES: Mapping[str, Mapping[str, str]] = {
    "+": {"input": "1", "other": "alpha"},
    "-": {"input": "1", "other": "-alpha"},
    "gelu": {
        "input": "(1 + t)/2 + input*(1 - t**2)*c*(1 + 3*0.044715*input**2)/2, "
        "with t = tanh(c*(input + 0.044715*input**3)), c = sqrt(2/pi)",
    },
    "linear": {"input": "upstream @ weight", "weight": "upstream^T @ input", "bias": "upstream, summed over the batch"},
    "bilinear": {
        "input1": "einsum('bo,oij,bj->bi', upstream, weight, input2)",
        "input2": "einsum('bo,oij,bi->bj', upstream, weight, input1)",
        "weight": "einsum('bo,bi,bj->oij', upstream, input1, input2)",
        "bias": "upstream, summed over the batch",
    },
    **{
        f"conv{kind}{n}d": {
            "input": f"conv{adjoint}{n}d(upstream, weight), {_SAME}",
            "weight": "each weight: upstream * the input that it was multiplied with, summed over the batch and all places",
            "bias": "upstream, summed over the batch and all places",
        }
        for n in (1, 2, 3)
        for kind, adjoint in (("", "_transpose"), ("_transpose", ""))
    },
    "var_mean": {"": "upstream[0]*2*(operand - mean(operand))/(n - correction) + upstream[1]/n"},
    "std_mean": {"": "upstream[0]*(operand - mean(operand))/((n - correction)*result[0]) + upstream[1]/n"},
    "layer_norm": {"input": f"{_NORMALISED}over the normalized dimensions", "weight": _WEIGHT, "bias": _BIAS},
    "batch_norm": {"input": f"{_NORMALISED}over all but the channels", "weight": _WEIGHT, "bias": _BIAS},
    "instance_norm": {"input": f"{_NORMALISED}over the places of each channel", "weight": _WEIGHT, "bias": _BIAS},
    "group_norm": {"input": f"{_NORMALISED}over each group", "weight": _WEIGHT, "bias": _BIAS},
    **{f"{kind}_norm in eval mode": {"input": _BY_CHANNEL, "weight": _WEIGHT, "bias": _BIAS} for kind in ("batch", "instance")},
    "rms_norm": {
        "input": "(g - n*mean(g*n))/r, with g = upstream*weight, n = input/r, r = sqrt(mean(input**2) + eps), "
        "mean over the normalized dimensions",
        "weight": "upstream*input/r, summed to the shape of weight, with r = sqrt(mean(input**2) + eps)",
    },
    "local_response_norm": {
        "input": "upstream/d**beta - 2*alpha*beta/size*input*sum(upstream*input/d**(beta + 1)), "
        "with d = k + alpha/size*sum(input**2), both sums over the neighbouring channels",
    },
    "embedding": {"weight": f"the rows of upstream, {_LOOKED_UP}"},
    "embedding by frequency": {"weight": f"the rows of upstream, each over how often its row was looked up, {_LOOKED_UP}"},
    "embedding_bag": {
        "weight": f"the rows of upstream, each one's share {_LOOKED_UP}",
        "per_sample_weights": "upstream times the row that was looked up, summed",
    },
    "scaled_dot_product_attention": {
        "query": f"scale*(S @ key), with {_ATTENTION}",
        "key": f"scale*(S.mT @ query), with {_ATTENTION}",
        "value": "P.mT @ upstream, with P = softmax(scale*(query @ key.mT) + mask)",
        "attn_mask": f"S, with {_ATTENTION}",
    },
    "multi_head_attention_forward": {
        **dict.fromkeys(
            ("query", "key", "value"), f"dQ @ Wq as the query, dK @ Wk as the key, dV @ Wv as the value; {_HEADS}"
        ),
        "in_proj_weight": f"dQ^T @ query, dK^T @ key, dV^T @ value, one below the other; {_HEADS}",
        "q_proj_weight": f"dQ^T @ query; {_HEADS}",
        "k_proj_weight": f"dK^T @ key; {_HEADS}",
        "v_proj_weight": f"dV^T @ value; {_HEADS}",
        "in_proj_bias": f"dQ, dK, dV, each summed over the batch and all places, one after the other; {_HEADS}",
        "bias_k": f"the row of dK that it adds, summed over the batch; {_HEADS}",
        "bias_v": f"the row of dV that it adds, summed over the batch; {_HEADS}",
        "static_k": f"dK; {_HEADS}", "static_v": f"dV; {_HEADS}",
        "attn_mask": f"S; {_HEADS}", "key_padding_mask": f"S, summed to the shape of key_padding_mask; {_HEADS}",
        "out_proj_weight": "upstream^T @ O, with O = dropout(P) @ V of each head, side by side",
        "out_proj_bias": "upstream, summed over the batch and all places",
    },
    "cosine_similarity": {
        "x1": "upstream*(x2/(norm(x1)*norm(x2)) - result*x1/norm(x1)**2)",
        "x2": "upstream*(x1/(norm(x1)*norm(x2)) - result*x2/norm(x2)**2)",
    },
    **{
        f"transformer{part}": {"": "back through its layers, from the last to the first, a residual sum to both of its terms"}
        for part in ("", "_encoder", "_encoder_layer", "_decoder", "_decoder_layer")
    },
    **{
        f: {"": "back through time, from the last step to the first: what each step passes to this operand, added up"}
        for f in ("rnn", "lstm", "gru")
    },
    "rnn_cell": {"": "as linear passes it on, from upstream times the slope of the nonlinearity"},
    **{
        f: {"": "as linear passes it on, from what reaches each gate through its slope, added up"}
        for f in ("lstm_cell", "gru_cell")
    },
    "pairwise_distance": {"x1": _DISTANCE, "x2": f"-{_DISTANCE}"},
    "cdist": {
        "x1": "upstream*sign(d)*(abs(d)/result)**(p - 1), summed over the rows of x2, with d = x1 - x2 for each pair of rows",
        "x2": "-upstream*sign(d)*(abs(d)/result)**(p - 1), summed over the rows of x1, with d = x1 - x2 for each pair of rows",
    },
    "pdist": {"": "upstream*sign(d)*(abs(d)/result)**(p - 1), summed over the other rows, with d = this row - the other one"},
    "interpolate": {"input": _SHARED},
    "grid_sample": {"input": _SHARED, "grid": "upstream times the slope of the interpolation in each direction, summed"},
    **{
        f"{kind}{n}d": {"input": rule}
        for n in (1, 2, 3)
        for kind, rule in (
            ("max_pool", _LARGEST), ("adaptive_max_pool", _LARGEST), ("fractional_max_pool", _LARGEST),
            ("avg_pool", _SPREAD), ("adaptive_avg_pool", _SPREAD),
            ("max_unpool", "upstream at the places that the numbers were put to"),
            ("lp_pool", "upstream*(input/result)**(p - 1), spread over each window and added up"),
        )
    },
    "pad": {"input": "upstream without the padding"},
    "pad with copies": {"input": _COPIED},
    "glu": {"input": "upstream*sigmoid(b) for the first half a, upstream*a*sigmoid(b)*(1 - sigmoid(b)) for the second half b"},
    "prelu": {"input": "1 where input > 0, else weight", "weight": "input where input < 0, else 0"},
    "lerp": {"input": "1 - weight", "end": "weight", "weight": "end - input"},
    "addcmul": {"input": "1", "tensor1": "value*tensor2", "tensor2": "value*tensor1"},
    "addcdiv": {"input": "1", "tensor1": "value/tensor2", "tensor2": "-value*tensor1/tensor2**2"},
    "i0": {"": "i1(operand)"},
    "outer": {"input": "upstream @ vec2", "vec2": "upstream.mT @ input"},
    "inner": {"input": "upstream @ other", "other": "upstream.mT @ input"},
    "cross": {"input": "cross(other, upstream)", "other": "cross(upstream, input)"},
    "addmm": {"input": "beta*upstream", "mat1": "alpha*(upstream @ mat2.mT)", "mat2": "alpha*(mat1.mT @ upstream)"},
    **{
        f: {"input": "beta*upstream", "batch1": "alpha*(upstream @ batch2.mT)", "batch2": "alpha*(batch1.mT @ upstream)"}
        for f in ("baddbmm", "addbmm")
    },
    "dot": {"": "upstream times the other operand, repeated along the summed dimension"},
    "addmv": {"input": "beta*upstream", "mat": "alpha*outer(upstream, vec)", "vec": "alpha*(mat.mT @ upstream)"},
    "addr": {"input": "beta*upstream", "vec1": "alpha*(upstream @ vec2)", "vec2": "alpha*(upstream.mT @ vec1)"},
    "kron": dict.fromkeys(("input", "other"), "the blocks of upstream, weighed by the other operand and summed"),
    "tensordot": dict.fromkeys(("a", "b"), "upstream times the other operand, summed over the dimensions which that one kept"),
    "einsum": {"": "upstream times the other operands, summed over all dimensions that this operand lacks"},
    **{f: {"": "(the product before it)^T @ upstream @ (the product behind it)^T"} for f in ("multi_dot", "chain_matmul")},
    "matrix_power": {
        "": "(the product before it)^T @ upstream @ (the product behind it)^T for each factor, added up; for n < 0 then as inv"
    },
    "matrix_exp": {"": "the upper right block of matrix_exp([[A.mT, upstream], [0, A.mT]]), with A = operand"},
    "eigvalsh": {"": "V @ diag(upstream) @ V.mT, with V = the eigenvectors"},
    "eigh": {
        "": "V @ (diag(gL) + (M - M.mT)/2/E) @ V.mT, with L, V = result, gL, gV their upstream, M = V.mT @ gV, "
        "E[i,j] = L[j] - L[i] beside the diagonal",
    },
    "svdvals": {"": "U @ diag(upstream) @ Vh, with U, Vh of svd(operand)"},
    "inv": {"": "-result.mT @ upstream @ result.mT"},
    "solve": {"A": "-S @ result.mT, with S = solve(A.mT, upstream)", "B": "solve(A.mT, upstream)"},
    "det": {"": "upstream*result*inv(operand).mT"},
    **{f: {"": "upstream*inv(operand).mT"} for f in ("logdet", "slogdet")},
    "trace": {"": "upstream on the diagonal, 0 elsewhere"},
    **{name: {"": "the diagonal of upstream"} for name in ("diag_embed", "diagflat")},
    **{f"{kind}scatter": {"input": _OVERWRITTEN, "src": _WRITTEN} for kind in ("", "select_", "slice_", "diagonal_")},
    **{name: {"input": _OVERWRITTEN, "source": _WRITTEN} for name in ("index_copy", "masked_scatter")},
    "scatter_add": {"input": "upstream", "src": _WRITTEN}, "index_add": {"input": "upstream", "source": _WRITTEN},
    "index_put": {"input": _OVERWRITTEN, "values": _WRITTEN},
    "index_fill": {"input": _OVERWRITTEN, "value": "upstream where it was filled in, summed"},
    "fold": {"input": "the patches of upstream, each from its place"},
    "dropout": {"input": "mask/(1 - p)"},
    "dropout in eval mode": {"input": "1"},
    **{f"{of}alpha_dropout": {"input": "a constant where it is kept, else 0"} for of in ("", "feature_")},
    "masked_fill": {"input": "1 where nothing was filled in, else 0", "value": "1 where it was filled in, else 0"},
    **{
        f"{loss}{reduced}": {"input": f"{each}{rule}, each row times its class's weight (0 if ignored){over}"}
        for loss, rule in (("cross_entropy", "softmax(input) - one_hot(target)"), ("nll_loss", "-one_hot(target)"))
        for reduced, each, over in (
            ("", "", ", over the sum of these"), (" summed", "", ""), (" of each row", "upstream of the row * (", ")"),
        )
    },
    "multi_margin_loss": {
        "input": "p*(margin - input[target] + input)**(p - 1)/classes where it is above 0, minus their sum at the target, "
        f"times the target's weight{AVERAGED}",
    },
    "multilabel_margin_loss": {
        "input": "1/classes at a class for each label less than 1 above it, -1/classes at the label for each such class"
        f"{AVERAGED}",
    },
    "margin_ranking_loss": {"input1": f"-target {_ABOVE}", "input2": f"target {_ABOVE}", "target": f"input2 - input1 {_ABOVE}"},
    "kl_div": {"target": f"log(target) + 1 - input (with log_target exp(target)*(target + 1 - input)){AVERAGED}"},
    "cosine_embedding_loss": dict.fromkeys(
        ("input1", "input2"), f"that of cosine_similarity, times -1 where target is 1, 1 where the loss is above 0{AVERAGED}"
    ),
    "triplet_margin_loss": {
        "anchor": f"u(anchor - positive) - u(anchor - negative), {_UNIT}",
        "positive": f"u(positive - anchor), {_UNIT}", "negative": f"u(anchor - negative), {_UNIT}",
    },
    "gaussian_nll_loss": {
        "input": f"(input - target)/var{AVERAGED}", "target": f"(target - input)/var{AVERAGED}",
        "var": f"(1/var - (input - target)**2/var**2)/2{AVERAGED}",
    },
}  # fmt: skip
"""All other operations, by the role of the operand: the name of PyTorch's parameter, "" for any."""

NORMS: Mapping[str, Mapping[object, str]] = {
    "norm": {
        2: "upstream*operand/result", 1: "upstream*sign(operand)",
        math.inf: "upstream*sign(operand) at the largest, shared by ties, 0 elsewhere",
        -math.inf: "upstream*sign(operand) at the smallest, shared by ties, 0 elsewhere",
        "p": "upstream*sign(operand)*(abs(operand)/result)**({p:g} - 1)",
    },
    "normalize": {
        2: "(upstream - result*sum(upstream*result))/r, with r = norm(input)",
        "p": "(upstream - u*sum(upstream*result))/r, with u = sign(input)*(abs(input)/r)**({p:g} - 1), r = norm(input, {p:g})",
    },
    "matrix_norm": {
        "nuc": "upstream * (U @ Vh), with U, Vh of svd(operand)",
        **{sign*2: f"upstream * (u @ v^T), with u, v the singular vectors of the {end} singular value"
           for sign, end in ((1, "largest"), (-1, "smallest"))},
        **{sign*p: f"upstream*sign(operand) in the {line} with the {end} sum of sizes, 0 elsewhere"
           for p, line in ((1, "column"), (math.inf, "row")) for sign, end in ((1, "largest"), (-1, "smallest"))},
    },
}  # fmt: skip
"""Those that depend on the order, and "p" for every other order."""

ROLES: Mapping[str, tuple[str, ...]] = {
    **{name: tuple(rules) for name, rules in RULES.items() if "" not in rules},
    "layer_norm": ("input", "normalized_shape", "weight", "bias"), "rms_norm": ("input", "normalized_shape", "weight"),
    "group_norm": ("input", "num_groups", "weight", "bias"),
    **dict.fromkeys(("batch_norm", "instance_norm"), ("input", "running_mean", "running_var", "weight", "bias")),
    **dict.fromkeys(("torch.batch_norm", "torch.instance_norm"), ("input", "weight", "bias")),
    **dict.fromkeys(("embedding", "embedding_bag"), ("input", "weight")), "kl_div": ("input", "target"),
    "multi_head_attention_forward": (
        "query", "key", "value", "embed_dim_to_check", "num_heads", "in_proj_weight", "in_proj_bias", "bias_k", "bias_v",
        "add_zero_attn", "dropout_p", "out_proj_weight", "out_proj_bias", "training", "key_padding_mask", "need_weights",
        "attn_mask", "use_separate_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight", "static_k", "static_v",
    ),
    **dict.fromkeys(("scatter", "scatter_add"), ("input", "dim", "index", "src")),
    **dict.fromkeys(("index_add", "index_copy"), ("input", "dim", "index", "source")),
    "index_put": ("input", "indices", "values"), "index_fill": ("input", "dim", "index", "value"),
    "masked_scatter": ("input", "mask", "source"), "masked_fill": ("input", "mask", "value"),
}  # fmt: skip
"""The parameters of an operation by position: those of its rules in their order, unless others lie
between. Operations without an entry have `input` and `other`."""

SETTINGS: Mapping[str, tuple[str, int, object, Mapping[object, str]]] = {
    "batch_norm": ("training", 5, False, {False: " in eval mode"}),
    "instance_norm": ("use_input_stats", 5, True, {False: " in eval mode"}),
    "triplet_margin_loss": ("swap", 6, False, {True: " with swap"}),
    "embedding": ("scale_grad_by_freq", 5, False, {True: " by frequency"}),
    "dropout": ("training", 2, True, {False: " in eval mode"}),
    **dict.fromkeys(("cross_entropy", "nll_loss"), ("reduction", 6, "mean", {"sum": " summed", "none": " of each row"})),
    "pad": ("mode", 2, "constant", dict.fromkeys(("reflect", "replicate", "circular"), " with copies")),
}  # fmt: skip
"""Settings that make it another operation: the parameter, its position, its default, and what each
value adds to the name."""

ELEMENTWISE = frozenset({
    "where", "maximum", "minimum", "clamp", "dropout", "dropout in eval mode", "alpha_dropout", "feature_alpha_dropout",
    "gammaln", "multigammaln", "expit", "erfcx", "xlog1py", "softshrink", "fill",
})  # fmt: skip
"""Elementwise operations that neither have a formula here nor are marked as such by PyTorch."""

ENDED = "no gradient passes"
UNUSED = "the result does not use it"
