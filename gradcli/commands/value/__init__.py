"""`value`: the value of an expression, without a gradient."""

EXAMPLES = (
    ("gradcli value 'softmax(x, 0)' x=2,1,0.1", "just the value, of any shape"),
    (
        "gradcli value 'mse(X @ w + b, y)' X='1,2;3,4;5,6' w=1,1 b=1 y=1,2,3 --shapes",
        "the shape of every part, below it",
    ),
    ("gradcli value 'x.argmax()' x=1,5,2 --get value", "one number for a script"),
)
PATHS = "value.0"
