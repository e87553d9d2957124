# check: forward,backward X=randn(5,2) W1=randn(2,4) b1=randn(1,4) W2=randn(4,3) b2=randn(1,3)
# expect: ok
# check: forward,backward_no_slope X=randn(5,2) W1=randn(2,4) b1=randn(1,4) W2=randn(4,3) b2=randn(1,3)
# expect: X value; W1 value; b1 value
# check: forward,backward_forgets_b2 X=randn(5,2) W1=randn(2,4) b1=randn(1,4) W2=randn(4,3) b2=randn(1,3)
# expect: b2 none
# check: forward,backward_before_update X=randn(5,2) W1=randn(2,4) b1=randn(1,4) W2=randn(4,3) b2=randn(1,3)
# expect: W2 mutates
# check: forward,backward_too_few X=randn(5,2) W1=randn(2,4) b1=randn(1,4) W2=randn(4,3) b2=randn(1,3)
# expect: count
import numpy as np


def forward(X, W1, b1, W2, b2):
    z1 = X.dot(W1) + b1
    a1 = np.tanh(z1)
    z2 = a1.dot(W2) + b2
    return z2, {"X": X, "a1": a1, "z1": z1, "W1": W1, "W2": W2}


def backward(dz2, cache):
    a1 = cache["a1"]
    dW2 = a1.T.dot(dz2)
    db2 = np.sum(dz2, axis=0, keepdims=True)
    dz1 = dz2.dot(cache["W2"].T) * (1 - np.power(a1, 2))
    dW1 = np.dot(cache["X"].T, dz1)
    db1 = np.sum(dz1, axis=0, keepdims=True)
    return {"X": dz1.dot(cache["W1"].T), "W1": dW1, "b1": db1, "W2": dW2, "b2": db2}


def backward_no_slope(dz2, cache):
    grads = backward(dz2, cache)
    dz1 = dz2.dot(cache["W2"].T)
    grads["W1"] = np.dot(cache["X"].T, dz1)
    grads["b1"] = np.sum(dz1, axis=0, keepdims=True)
    grads["X"] = dz1.dot(cache["W1"].T)
    return grads


def backward_forgets_b2(dz2, cache):
    grads = backward(dz2, cache)
    del grads["b2"]
    return grads


def backward_before_update(dz2, cache, lr=0.01):
    grads = backward(dz2, cache)
    cache["W2"] -= lr * grads["W2"]
    return grads


def backward_too_few(dz2, cache):
    grads = backward(dz2, cache)
    return grads["W1"], grads["b1"], grads["W2"], grads["b2"]
