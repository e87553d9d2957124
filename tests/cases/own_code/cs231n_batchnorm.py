# check: batchnorm_forward,batchnorm_backward x=randn(6,3) gamma=randn(3) beta=randn(3)
# expect: ok
# check: batchnorm_forward,batchnorm_backward_alt x=randn(6,3) gamma=randn(3) beta=randn(3)
# expect: ok
# check: batchnorm_forward,batchnorm_backward_no_mean x=randn(6,3) gamma=randn(3) beta=randn(3)
# expect: x value
# check: batchnorm_forward,batchnorm_backward_no_var x=randn(6,3) gamma=randn(3) beta=randn(3)
# expect: x value
# check: batchnorm_forward,batchnorm_backward_no_sum x=randn(6,3) gamma=randn(3) beta=randn(3)
# expect: gamma shape; beta shape
# check: batchnorm_forward,batchnorm_backward_swapped x=randn(6,3) gamma=randn(3) beta=randn(3)
# expect: gamma value; beta value
import numpy as np


def batchnorm_forward(x, gamma, beta, bn_param={"mode": "train", "eps": 1e-5}):
    eps = bn_param.get("eps", 1e-5)
    N, D = x.shape
    mu = 1.0 / N * np.sum(x, axis=0)
    xmu = x - mu
    sq = xmu**2
    var = 1.0 / N * np.sum(sq, axis=0)
    sqrtvar = np.sqrt(var + eps)
    ivar = 1.0 / sqrtvar
    xhat = xmu * ivar
    out = gamma * xhat + beta
    cache = (xhat, gamma, xmu, ivar, sqrtvar, var, eps)
    return out, cache


def batchnorm_backward(dout, cache):
    xhat, gamma, xmu, ivar, sqrtvar, var, eps = cache
    N, D = dout.shape
    dbeta = np.sum(dout, axis=0)
    dgamma = np.sum(dout * xhat, axis=0)
    dxhat = dout * gamma
    divar = np.sum(dxhat * xmu, axis=0)
    dxmu1 = dxhat * ivar
    dsqrtvar = -1.0 / (sqrtvar**2) * divar
    dvar = 0.5 * 1.0 / np.sqrt(var + eps) * dsqrtvar
    dsq = 1.0 / N * np.ones((N, D)) * dvar
    dxmu2 = 2 * xmu * dsq
    dx1 = dxmu1 + dxmu2
    dmu = -1 * np.sum(dxmu1 + dxmu2, axis=0)
    dx2 = 1.0 / N * np.ones((N, D)) * dmu
    dx = dx1 + dx2
    return dx, dgamma, dbeta


def batchnorm_backward_alt(dout, cache):
    xhat, gamma, xmu, ivar, sqrtvar, var, eps = cache
    N = dout.shape[0]
    dbeta = dout.sum(axis=0)
    dgamma = (dout * xhat).sum(axis=0)
    dx = gamma * ivar / N * (N * dout - dbeta - xhat * dgamma)
    return dx, dgamma, dbeta


def batchnorm_backward_no_mean(dout, cache):
    xhat, gamma, xmu, ivar, sqrtvar, var, eps = cache
    N, D = dout.shape
    dbeta = np.sum(dout, axis=0)
    dgamma = np.sum(dout * xhat, axis=0)
    dxhat = dout * gamma
    dvar = np.sum(dxhat * xmu * -0.5 * (var + eps) ** -1.5, axis=0)
    dx = dxhat * ivar + dvar * 2 * xmu / N
    return dx, dgamma, dbeta


def batchnorm_backward_no_var(dout, cache):
    xhat, gamma, xmu, ivar, sqrtvar, var, eps = cache
    dbeta = np.sum(dout, axis=0)
    dgamma = np.sum(dout * xhat, axis=0)
    dxhat = dout * gamma
    dx = ivar * (dxhat - dxhat.mean(axis=0))
    return dx, dgamma, dbeta


def batchnorm_backward_no_sum(dout, cache):
    dx, dgamma, dbeta = batchnorm_backward(dout, cache)
    xhat = cache[0]
    return dx, dout * xhat, dout


def batchnorm_backward_swapped(dout, cache):
    dx, dgamma, dbeta = batchnorm_backward(dout, cache)
    return dx, dbeta, dgamma
