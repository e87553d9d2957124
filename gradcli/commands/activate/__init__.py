"""`activate`: values and derivatives of activations."""

EXAMPLES = (
    ("gradcli activate sigmoid tanh relu --x -2,0,2", "three activations side by side"),
    ("gradcli activate 'leaky_relu(0.2)' --x -1", "arguments follow the name"),
    ("seq -5 5 | gradcli activate gelu --x - --csv", "numbers from a pipe"),
)
PATHS = "functions.0.derivative.2"
