# check: rosenbrock p=1.2,0.7 --with-gradient
# expect: ok
# check: rosenbrock_sign p=1.2,0.7 --with-gradient
# expect: p value
# check: ridge w=randn(3) X=randn(5,3) y=randn(5) --with-gradient --wrt w
# expect: ok
# check: ridge_factor w=randn(3) X=randn(5,3) y=randn(5) --with-gradient --wrt w
# expect: w value slip=factor-half
# check: ridge_column w=randn(3) X=randn(5,3) y=randn(5) --with-gradient --wrt w
# expect: w shape
# check: logistic w=randn(3) b=0.3 X=randn(5,3) y=0,1,1,0,1 --with-gradient --wrt w,b
# expect: ok
# check: logistic_swapped_residual w=randn(3) b=0.3 X=randn(5,3) y=0,1,1,0,1 --with-gradient --wrt w,b
# expect: w value slip=sign; b value slip=sign
# check: logistic_b_only w=randn(3) b=0.3 X=randn(5,3) y=0,1,1,0,1 --with-gradient --wrt w,b
# expect: b value
# check: log_det A=3,1;1,2 --with-gradient
# expect: ok
# check: log_det_integer A=3,1;1,2 --with-gradient
# expect: A value
"""Objectives for scipy.optimize with jac=True."""

import numpy as np


def rosenbrock(p):
    x, y = p
    f = (1 - x) ** 2 + 100 * (y - x**2) ** 2
    return f, np.array([-2 * (1 - x) - 400 * x * (y - x**2), 200 * (y - x**2)])


def rosenbrock_sign(p):
    x, y = p
    f = (1 - x) ** 2 + 100 * (y - x**2) ** 2
    return f, np.array([2 * (1 - x) - 400 * x * (y - x**2), 200 * (y - x**2)])


def ridge(w, X, y, lam=0.0):
    r = X @ w - y
    return np.sum(r**2) + lam * w @ w, 2 * X.T @ r + 2 * lam * w


def ridge_factor(w, X, y):
    r = X @ w - y
    return np.sum(r**2), X.T @ r


def ridge_column(w, X, y):
    f, g = ridge(w, X, y)
    return f, g.reshape(-1, 1)


def logistic(w, b, X, y):
    z = X @ w + b
    p = 1 / (1 + np.exp(-z))
    loss = -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))
    return loss, (X.T @ (p - y) / len(y), np.mean(p - y))


def logistic_swapped_residual(w, b, X, y):
    loss, _ = logistic(w, b, X, y)
    p = 1 / (1 + np.exp(-(X @ w + b)))
    return loss, (X.T @ (y - p) / len(y), np.mean(y - p))


def logistic_b_only(w, b, X, y):
    loss, (dw, db) = logistic(w, b, X, y)
    p = 1 / (1 + np.exp(-(X @ w + b)))
    return loss, (dw, np.sum((p - y) * p * (1 - p)) / len(y))


def log_det(A):
    return np.log(np.linalg.det(A)), np.linalg.inv(A).T


def log_det_integer(A):
    n = A.shape[0]
    return np.log(np.linalg.det(A)), (n // 3) * np.linalg.inv(A).T
