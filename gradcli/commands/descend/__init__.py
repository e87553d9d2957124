"""`descend`: gradient descent on an expression, step by step."""
