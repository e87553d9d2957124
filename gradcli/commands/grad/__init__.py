"""`grad`: the value of an expression and its gradient for each input."""

EXAMPLES = (
    ("gradcli grad --fn mse --x 1 --w 2", "mean squared error: loss 1, dw = 2, dx = 4"),
    ("gradcli grad 'mse(w*x + b, y)' x=1,2 w=3 b=0 y=1,1", "any PyTorch formula"),
    ("gradcli grad --fn mse --x 1 --w 2 --get gradients.w", "one number for a script"),
)
PATHS = "value or gradients.w"
