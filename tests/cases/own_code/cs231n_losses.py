# check: softmax_loss --with-gradient x=randn(4,3) y=tensor([0,2,1,1])
# expect: ok
# check: softmax_loss_no_n --with-gradient x=randn(4,3) y=tensor([0,2,1,1])
# expect: x value slip=ratio|sum-for-mean
# check: softmax_loss_probs --with-gradient x=randn(4,3) y=tensor([0,2,1,1])
# expect: x value
# check: svm_loss --with-gradient x=randn(4,3) y=tensor([0,2,1,1])
# expect: ok
# check: svm_loss_no_count --with-gradient x=randn(4,3) y=tensor([0,2,1,1])
# expect: x value
# check: linear_svm W=randn(5,3) X=randn(4,5) y=tensor([0,2,1,1]) --with-gradient --wrt W
# expect: ok
# check: linear_svm_no_reg W=randn(5,3) X=randn(4,5) y=tensor([0,2,1,1]) --with-gradient --wrt W
# expect: W value
# check: linear_svm_half_reg W=randn(5,3) X=randn(4,5) y=tensor([0,2,1,1]) --with-gradient --wrt W
# expect: W value
import numpy as np


def softmax_loss(x, y):
    shifted = x - np.max(x, axis=1, keepdims=True)
    Z = np.sum(np.exp(shifted), axis=1, keepdims=True)
    log_probs = shifted - np.log(Z)
    probs = np.exp(log_probs)
    N = x.shape[0]
    loss = -np.sum(log_probs[np.arange(N), y]) / N
    dx = probs.copy()
    dx[np.arange(N), y] -= 1
    dx /= N
    return loss, dx


def softmax_loss_no_n(x, y):
    loss, dx = softmax_loss(x, y)
    return loss, dx * x.shape[0]


def softmax_loss_probs(x, y):
    N = x.shape[0]
    p = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
    loss = -np.log(p[range(N), y]).mean()
    return loss, p / N


def svm_loss(x, y):
    N = x.shape[0]
    correct = x[np.arange(N), y]
    margins = np.maximum(0, x - correct[:, np.newaxis] + 1.0)
    margins[np.arange(N), y] = 0
    loss = np.sum(margins) / N
    num_pos = np.sum(margins > 0, axis=1)
    dx = np.zeros_like(x)
    dx[margins > 0] = 1
    dx[np.arange(N), y] -= num_pos
    dx /= N
    return loss, dx


def svm_loss_no_count(x, y):
    loss, _ = svm_loss(x, y)
    N = x.shape[0]
    margins = np.maximum(0, x - x[np.arange(N), y][:, None] + 1.0)
    margins[np.arange(N), y] = 0
    dx = np.zeros_like(x)
    dx[margins > 0] = 1
    dx[np.arange(N), y] -= 1
    return loss, dx / N


def linear_svm(W, X, y, reg=0.1):
    loss, dscores = svm_loss(X.dot(W), y)
    return loss + reg * np.sum(W * W), X.T.dot(dscores) + 2 * reg * W


def linear_svm_no_reg(W, X, y, reg=0.1):
    loss, dscores = svm_loss(X.dot(W), y)
    return loss + reg * np.sum(W * W), X.T.dot(dscores)


def linear_svm_half_reg(W, X, y, reg=0.1):
    loss, dscores = svm_loss(X.dot(W), y)
    return loss + reg * np.sum(W * W), X.T.dot(dscores) + reg * W
