"""`functions`: the catalogue to read."""

EXAMPLES = (
    ("gradcli functions", "every activation and loss"),
    ("gradcli functions relu", "one function, with the slope that PyTorch uses at its kink"),
    ("gradcli functions 'elu(alpha=2)' --json", "with an argument, as JSON"),
)
"""Calls to copy, and what each shows."""

FORMS = {
    "json": "",
    "get": "one value by its path, such as functions.0.kinks.0.pytorch",
    "out": "write to FILE instead: .json",
    "quiet": "no hint",
}
"""The options of output that it has, each with words of its own for help where the usual ones do
not fit."""
