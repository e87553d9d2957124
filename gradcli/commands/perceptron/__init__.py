"""`perceptron`: one layer forward and its gradient, or its training."""
