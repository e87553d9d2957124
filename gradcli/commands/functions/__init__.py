"""`functions`: the catalogue to read."""

EXAMPLES = (
    ("gradcli functions", "every activation and loss"),
    ("gradcli functions relu", "one function, with the slope that PyTorch uses at its kink"),
    ("gradcli functions 'elu(alpha=2)' --json", "with an argument, as JSON"),
)
FORMS = {
    "json": "",
    "get": "one value by its path, such as functions.0.kinks.0.pytorch",
    **dict.fromkeys(("markdown", "latex", "html", "out"), ""),
    "quiet": "no hint",
}
