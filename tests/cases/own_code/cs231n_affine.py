# check: affine_forward,affine_backward x=randn(4,3) w=randn(3,5) b=randn(5)
# expect: ok
# check: affine_forward,affine_backward x=randn(2,2,3) w=randn(6,5) b=randn(5)
# expect: ok
# check: affine_forward,affine_backward_no_sum x=randn(4,3) w=randn(3,5) b=randn(5)
# expect: b shape
# check: affine_forward,affine_backward_flat x=randn(2,2,3) w=randn(6,5) b=randn(5)
# expect: x shape
# check: affine_forward,affine_backward_keepdims x=randn(4,3) w=randn(3,5) b=randn(5)
# expect: b shape
# check: affine_forward,affine_backward_mean x=randn(4,3) w=randn(3,5) b=randn(5)
# expect: b value slip=ratio|mean-for-sum
# check: relu_forward,relu_backward x=randn(4,3)
# expect: ok
# check: relu_forward,relu_backward_dout x=randn(4,3)
# expect: x value
# check: affine_relu_forward,affine_relu_backward x=randn(4,3) w=randn(3,5) b=randn(5)
# expect: ok
# check: affine_relu_forward,affine_relu_backward_skips x=randn(4,3) w=randn(3,5) b=randn(5)
# expect: x value; w value; b value
import numpy as np


def affine_forward(x, w, b):
    out = x.reshape(x.shape[0], -1).dot(w) + b
    cache = (x, w, b)
    return out, cache


def affine_backward(dout, cache):
    x, w, b = cache
    dx = dout.dot(w.T).reshape(x.shape)
    dw = x.reshape(x.shape[0], -1).T.dot(dout)
    db = np.sum(dout, axis=0)
    return dx, dw, db


def affine_backward_no_sum(dout, cache):
    x, w, b = cache
    dx = dout.dot(w.T).reshape(x.shape)
    dw = x.reshape(x.shape[0], -1).T.dot(dout)
    db = dout
    return dx, dw, db


def affine_backward_flat(dout, cache):
    x, w, b = cache
    dx = dout.dot(w.T)
    dw = x.reshape(x.shape[0], -1).T.dot(dout)
    db = np.sum(dout, axis=0)
    return dx, dw, db


def affine_backward_keepdims(dout, cache):
    x, w, b = cache
    dx = dout.dot(w.T).reshape(x.shape)
    dw = x.reshape(x.shape[0], -1).T.dot(dout)
    db = np.sum(dout, axis=0, keepdims=True)
    return dx, dw, db


def affine_backward_mean(dout, cache):
    x, w, b = cache
    dx = dout.dot(w.T).reshape(x.shape)
    dw = x.reshape(x.shape[0], -1).T.dot(dout)
    db = np.mean(dout, axis=0)
    return dx, dw, db


def relu_forward(x):
    out = np.maximum(0, x)
    cache = x
    return out, cache


def relu_backward(dout, cache):
    dx, x = None, cache
    dx = dout * (x > 0)
    return dx


def relu_backward_dout(dout, cache):
    dx = dout.copy()
    dx[dout <= 0] = 0
    return dx


def affine_relu_forward(x, w, b):
    a, fc_cache = affine_forward(x, w, b)
    out, relu_cache = relu_forward(a)
    return out, (fc_cache, relu_cache)


def affine_relu_backward(dout, cache):
    fc_cache, relu_cache = cache
    da = relu_backward(dout, relu_cache)
    return affine_backward(da, fc_cache)


def affine_relu_backward_skips(dout, cache):
    fc_cache, relu_cache = cache
    return affine_backward(dout, fc_cache)
