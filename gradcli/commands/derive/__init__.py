"""`derive`: the gradient of an expression as a formula."""

EXAMPLES = (
    ("gradcli derive 'sigmoid(w*x)'", "an input without a value is one number"),
    (
        "gradcli derive 'mse(X @ w, y)' X='randn(5,3)' w=1,2,3 y='ones(5)'",
        "values give the shapes, and the formula holds for others",
    ),
    ("gradcli derive 'h = tanh(w*x); mse(h, y)' --steps", "the backward pass, line by line"),
)
PATHS = "formulas.w"
HELP = {"latex": "the formulas as display mathematics"}
