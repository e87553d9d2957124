"""NumPy code as courses have users write it, right and wrong."""

import numpy as np


def affine(x, w, b):
    return x @ w + b, (x, w, b)


def affine_backward(dout, cache):
    x, w, _ = cache
    return dout @ w.T, x.T @ dout, dout.sum(axis=0)


def affine_backward_wrong(dout, cache):
    x, w, _ = cache
    return dout @ w.T, -(x.T @ dout), dout


def affine_backward_of_two(dout, cache):
    x, w, _ = cache
    return dout @ w.T, x.T @ dout


def affine_grads(dout, cache):
    x, w, _ = cache
    return {"db": dout.sum(axis=0), "dw": x.T @ dout, "dx": dout @ w.T}


def affine_mean(dout, cache):
    x, w, _ = cache
    return [dout @ w.T, x.T @ dout / len(x), dout.mean(axis=0)]


def product(x, w):
    return x @ w


def product_off_in_one(dout, x, w):
    dw = x.T @ dout
    dw[17, 3] *= 2
    return dout @ w.T, dw


def relu(x):
    return np.maximum(0, x), x


def relu_backward(dout, cache):
    dout[cache <= 0] = 0
    return dout


def times(x, w):
    return x * w


def times_backward(dout, x, w):
    return dout * w, dout * x


def times_local(dout, x, w):
    return w, x


def half_square(x):
    return 0.5 * np.sum(x**2), {"x": x}


def half_square_backward(dout, cache):
    return dout * cache["x"]


def half_square_of_one(dout, cache):
    return cache["x"]


def half_square_by_fft(dout, cache):
    return np.fft.ifft(np.fft.fft(dout * cache["x"]))


def exp_in_place(x):
    x -= x.max()
    return np.exp(x)


def exp_backward(dout, x):
    return dout * np.exp(x)


def lstm_cell(a, c):
    c_next = c * np.tanh(a)
    h_next = np.tanh(c_next)
    return h_next, c_next, (a, c, h_next)


def lstm_cell_backward(dh, dc_next, cache):
    a, c, h = cache
    dc_next = dc_next + dh * (1 - h**2)
    return dc_next * c * (1 - np.tanh(a) ** 2), dc_next * np.tanh(a)


def svm_loss(x, y):
    rows = np.arange(len(x))
    margins = np.maximum(0, x - x[rows, y][:, None] + 1)
    margins[rows, y] = 0
    dx = (margins > 0).astype(float)
    dx[rows, y] = -dx.sum(axis=1)
    return margins.sum() / len(x), dx / len(x)


def svm_loss_of_sum(x, y):
    loss, dx = svm_loss(x, y)
    return loss, dx * len(x)


def phase(x):
    return np.exp(1j * x)


def scaled(x, a=0.5, b=0):
    return a * x + b, (x, a)


def scaled_backward(dout, cache):
    x, a = cache
    return a * dout, (dout * x).sum()


def scaled_backward_negative(dout, cache):
    x, a = cache
    return a * dout, -(dout * x).sum()


def scaled_backward_of_x(dout, cache):
    x, a = cache
    return a * dout
