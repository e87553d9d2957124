"""`perceptron`: one layer forward and its gradient, or its training."""

EXAMPLES = (
    ("gradcli perceptron --x 1,0.5 --w 0.3,-0.2 --target 1", "dE/dw_j = (O - t) O (1 - O) x_j"),
    ("gradcli perceptron --train and --activation step", "the perceptron rule learns AND"),
    ("gradcli perceptron --train xor --activation step --get converged", "but it cannot learn XOR"),
)
PATHS = "output or gradients.w.1"
