# check: rnn_step_forward,rnn_step_backward x=randn(3,4) prev_h=randn(3,5) Wx=randn(4,5) Wh=randn(5,5) b=randn(5)
# expect: ok
# check: rnn_step_forward,rnn_step_backward_input x=randn(3,4) prev_h=randn(3,5) Wx=randn(4,5) Wh=randn(5,5) b=randn(5)
# expect: x value; prev_h value; Wx value; Wh value; b value
# check: rnn_step_forward,rnn_step_backward_wh x=randn(3,4) prev_h=randn(3,5) Wx=randn(4,5) Wh=randn(5,5) b=randn(5)
# expect: Wh value slip=transposed
# check: rnn_forward,rnn_backward x=randn(2,3,4) h0=randn(2,5) Wx=randn(4,5) Wh=randn(5,5) b=randn(5)
# expect: ok
# check: rnn_forward,rnn_backward_no_carry x=randn(2,3,4) h0=randn(2,5) Wx=randn(4,5) Wh=randn(5,5) b=randn(5)
# expect: x value; h0 value; Wx value; Wh value; b value
# check: word_embedding_forward,word_embedding_backward x=tensor([[0,3],[3,1]]) W=randn(5,2)
# expect: ok
# check: word_embedding_forward,word_embedding_backward_set x=tensor([[0,3],[3,1]]) W=randn(5,2)
# expect: W value
import numpy as np


def rnn_step_forward(x, prev_h, Wx, Wh, b):
    next_h = np.tanh(x.dot(Wx) + prev_h.dot(Wh) + b)
    cache = (x, prev_h, Wx, Wh, b, next_h)
    return next_h, cache


def _step(ds, cache):
    x, prev_h, Wx, Wh = cache[:4]
    return ds.dot(Wx.T), ds.dot(Wh.T), x.T.dot(ds), prev_h.T.dot(ds), ds.sum(axis=0)


def rnn_step_backward(dnext_h, cache):
    next_h = cache[-1]
    return _step(dnext_h * (1 - next_h**2), cache)


def rnn_step_backward_input(dnext_h, cache):
    x, prev_h, Wx, Wh, b, next_h = cache
    a = x.dot(Wx) + prev_h.dot(Wh) + b
    return _step(dnext_h * (1 - a**2), cache)


def rnn_step_backward_wh(dnext_h, cache):
    dx, dprev_h, dWx, dWh, db = rnn_step_backward(dnext_h, cache)
    return dx, dprev_h, dWx, dWh.T, db


def rnn_forward(x, h0, Wx, Wh, b):
    N, T, D = x.shape
    h = np.zeros((N, T, h0.shape[1]))
    caches = []
    prev = h0
    for t in range(T):
        prev, cache = rnn_step_forward(x[:, t], prev, Wx, Wh, b)
        h[:, t] = prev
        caches.append(cache)
    return h, (caches, D)


def rnn_backward(dh, cache, carry=True):
    caches, D = cache
    N, T, H = dh.shape
    dx = np.zeros((N, T, D))
    dWx, dWh, db = np.zeros((D, H)), np.zeros((H, H)), np.zeros(H)
    dprev = np.zeros((N, H))
    for t in reversed(range(T)):
        step = dh[:, t] + dprev if carry else dh[:, t]
        dx[:, t], dprev, wx, wh, bb = rnn_step_backward(step, caches[t])
        dWx += wx
        dWh += wh
        db += bb
    return dx, dprev, dWx, dWh, db


def rnn_backward_no_carry(dh, cache):
    return rnn_backward(dh, cache, carry=False)


def word_embedding_forward(x, W):
    return W[x], (x, W)


def word_embedding_backward(dout, cache):
    x, W = cache
    dW = np.zeros_like(W)
    np.add.at(dW, x, dout)
    return dW


def word_embedding_backward_set(dout, cache):
    x, W = cache
    dW = np.zeros_like(W)
    dW[x] += dout
    return dW
