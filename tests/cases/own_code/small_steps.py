# check: center,center_backward x=randn(3,2)
# expect: x value slip=-
# check: softmax,softmax_backward x=randn(3,2)
# expect: x value slip=-
# check: tanh,tanh_backward x=randn(3,2)
# expect: x value slip=activation-derivative
# check: relu,tanh_backward x=randn(3,2)
# expect: x value slip=activation-derivative
"""Three steps whose backward pass hands on what it gets: only the last two are activations."""

import numpy as np


def center(x):
    return x - x.mean(axis=0)


def center_backward(dout, x):
    return dout


def softmax(x):
    e = np.exp(x)
    return e / e.sum(axis=1, keepdims=True)


def softmax_backward(dout, x):
    return dout


def tanh(x):
    return np.tanh(x)


def tanh_backward(dout, x):
    return dout


def relu(x):
    return np.maximum(0, x)
