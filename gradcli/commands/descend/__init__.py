"""`descend`: gradient descent on an expression, step by step."""

EXAMPLES = (
    ("gradcli descend '(x - 3)**2' x=0", "100 steps with learning rate 0.1"),
    ("gradcli descend 'mse(w*x, y)' x=1,2,3 y=2,4,6 w=0 --wrt w --set momentum=0.9", "a slope, with momentum"),
    ("gradcli descend '2*x**2' x=1 --optimizer adam --explain", "what Adam does in its first steps, in numbers"),
)  # fmt: skip
PATHS = "stopped or parameters.x"
