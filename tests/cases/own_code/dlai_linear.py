# check: linear_forward,linear_backward A=randn(3,4) W=randn(2,3) b=randn(2,1)
# expect: ok
# check: linear_forward,linear_backward_course A=randn(3,4) W=randn(2,3) b=randn(2,1)
# expect: W value slip=ratio|mean-for-sum; b value slip=ratio|mean-for-sum
# check: linear_forward,linear_backward_no_keepdims A=randn(3,4) W=randn(2,3) b=randn(2,1)
# expect: b shape
# check: sigmoid,sigmoid_backward Z=randn(2,4)
# expect: ok
# check: sigmoid,sigmoid_backward_of_a Z=randn(2,4)
# expect: Z value
# check: relu,relu_backward Z=randn(2,4)
# expect: ok
# check: linear_activation_forward,linear_activation_backward A_prev=randn(3,4) W=randn(2,3) b=randn(2,1)
# expect: ok
# check: compute_cost,cost_backward AL=0.8,0.2,0.4 Y=1,0,1 --wrt AL
# expect: ok
# check: compute_cost,cost_backward_sign AL=0.8,0.2,0.4 Y=1,0,1 --wrt AL
# expect: AL value slip=sign
import numpy as np


def linear_forward(A, W, b):
    Z = np.dot(W, A) + b
    cache = (A, W, b)
    return Z, cache


def linear_backward(dZ, cache):
    A_prev, W, b = cache
    dW = np.dot(dZ, A_prev.T)
    db = np.sum(dZ, axis=1, keepdims=True)
    dA_prev = np.dot(W.T, dZ)
    return dA_prev, dW, db


def linear_backward_course(dZ, cache):
    """The course's own: dZ holds the gradient of each example's loss, and 1/m comes here."""
    A_prev, W, b = cache
    m = A_prev.shape[1]
    dW = 1 / m * np.dot(dZ, A_prev.T)
    db = 1 / m * np.sum(dZ, axis=1, keepdims=True)
    dA_prev = np.dot(W.T, dZ)
    return dA_prev, dW, db


def linear_backward_no_keepdims(dZ, cache):
    A_prev, W, b = cache
    return np.dot(W.T, dZ), np.dot(dZ, A_prev.T), np.sum(dZ, axis=1)


def sigmoid(Z):
    A = 1 / (1 + np.exp(-Z))
    cache = Z
    return A, cache


def sigmoid_backward(dA, cache):
    Z = cache
    s = 1 / (1 + np.exp(-Z))
    return dA * s * (1 - s)


def sigmoid_backward_of_a(dA, cache):
    A, _ = sigmoid(cache)
    s = 1 / (1 + np.exp(-A))
    return dA * s * (1 - s)


def relu(Z):
    return np.maximum(0, Z), Z


def relu_backward(dA, cache):
    Z = cache
    dZ = np.array(dA, copy=True)
    dZ[Z <= 0] = 0
    return dZ


def linear_activation_forward(A_prev, W, b, activation="sigmoid"):
    Z, linear_cache = linear_forward(A_prev, W, b)
    A, activation_cache = sigmoid(Z) if activation == "sigmoid" else relu(Z)
    return A, (linear_cache, activation_cache)


def linear_activation_backward(dA, cache, activation="sigmoid"):
    linear_cache, activation_cache = cache
    dZ = sigmoid_backward(dA, activation_cache) if activation == "sigmoid" else relu_backward(dA, activation_cache)
    return linear_backward(dZ, linear_cache)


def compute_cost(AL, Y):
    m = Y.shape[0]
    cost = -1 / m * np.sum(Y * np.log(AL) + (1 - Y) * np.log(1 - AL))
    return np.squeeze(cost)


def cost_backward(dcost, AL, Y):
    return -dcost * (np.divide(Y, AL) - np.divide(1 - Y, 1 - AL)) / Y.shape[0]


def cost_backward_sign(dcost, AL, Y):
    return dcost * (np.divide(Y, AL) - np.divide(1 - Y, 1 - AL)) / Y.shape[0]
