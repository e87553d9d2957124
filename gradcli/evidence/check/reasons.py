"""Operations whose gradient is not the slope, or may not be, and the reason: a verdict of `--check`."""

from gradcli.catalogue.functions import CATALOGUE

STEPWISE = frozenset(
    {"round", "floor", "ceil", "trunc", "fix", "sign", "sgn", "//"}
    | {name for name, entry in CATALOGUE.items() if entry.derivative is None}
)
"""Operations that are constant between jumps."""

HELD = {
    **dict.fromkeys(("detach", "detach_copy"), "detached"),
    **dict.fromkeys(("bernoulli", "normal", "poisson", "multinomial"), "random"),
    **dict.fromkeys(STEPWISE, "between-jumps"),
}
"""Operations through which autograd passes no gradient, and the verdict: proved by holding their
operands fixed."""

DELIBERATE = {
    **dict.fromkeys(
        ("cholesky", "cholesky_ex", "cholesky_inverse", "cholesky_solve", "eigh", "eigvalsh", "ldl_factor", "ldl_factor_ex",
         "matrix_sqrth", "hermitian"), "symmetric"),
    **dict.fromkeys(
        ("gumbel_softmax", "fake_quantize_per_tensor_affine", "fake_quantize_per_channel_affine"), "straight-through"),
    "ctc_loss": "assumes-log-softmax",
}  # fmt: skip
"""Operations whose gradient PyTorch defines differently from the slope, and the verdict."""

SELECTING = frozenset(
    {"where", "sort", "msort", "topk", "median", "nanmedian", "kthvalue", "mode", "quantile", "nanquantile", "cummax", "cummin",
     "aminmax", "renorm", "cdist", "pdist", "dist", "fmod", "remainder", "%"}
)  # fmt: skip
"""Operations that may have kinks, besides those whose kinks are known."""

POWERS = frozenset({"pow", "**", "float_power"})
"""Operations whose second derivative is wrong in PyTorch at exponent 0."""
