# check: layernorm_forward,layernorm_backward x=randn(4,5) gamma=randn(5) beta=randn(5)
# expect: ok
# check: layernorm_forward,layernorm_backward_wrong_axis x=randn(4,5) gamma=randn(5) beta=randn(5)
# expect: x value
# check: layernorm_forward,layernorm_backward_plain_axis x=randn(4,4) gamma=randn(4) beta=randn(4)
# expect: x value; gamma value; beta value
# check: dropout_forward,dropout_backward x=randn(4,5)
# expect: ok
# check: dropout_forward,dropout_backward_unscaled x=randn(4,5)
# expect: x value slip=factor-half
import numpy as np


def layernorm_forward(x, gamma, beta, ln_param={}):
    eps = ln_param.get("eps", 1e-5)
    mean = x.mean(axis=1, keepdims=True)
    var = x.var(axis=1, keepdims=True)
    std = np.sqrt(var + eps)
    x_norm = (x - mean) / std
    return gamma * x_norm + beta, {"x_norm": x_norm, "std": std, "gamma": gamma}


def layernorm_backward(dout, cache):
    x_norm, std, gamma = cache["x_norm"], cache["std"], cache["gamma"]
    D = dout.shape[1]
    dgamma = np.sum(dout * x_norm, axis=0)
    dbeta = np.sum(dout, axis=0)
    dx_norm = dout * gamma
    dx = (
        D * dx_norm
        - np.sum(dx_norm, axis=1, keepdims=True)
        - x_norm * np.sum(dx_norm * x_norm, axis=1, keepdims=True)
    ) / (D * std)
    return dx, dgamma, dbeta


def layernorm_backward_wrong_axis(dout, cache):
    """Copied from batchnorm."""
    x_norm, std, gamma = cache["x_norm"], cache["std"], cache["gamma"]
    N = dout.shape[0]
    dx_norm = dout * gamma
    dx = (N * dx_norm - dx_norm.sum(axis=0) - x_norm * (dx_norm * x_norm).sum(axis=0)) / (N * std)
    return dx, np.sum(dout * x_norm, axis=0), np.sum(dout, axis=0)


def layernorm_backward_plain_axis(dout, cache):
    x_norm, std, gamma = cache["x_norm"], cache["std"], cache["gamma"]
    D = dout.shape[1]
    dgamma = np.sum(dout * x_norm, axis=1)
    dbeta = np.sum(dout, axis=1)
    g = dout * gamma
    dx = (D * g - g.sum(axis=1) - x_norm * (g * x_norm).sum(axis=1)) / (D * std)
    return dx, dgamma, dbeta


def dropout_forward(x, dropout_param={"p": 0.5, "mode": "train", "seed": 7}):
    p = dropout_param["p"]
    np.random.seed(dropout_param["seed"])
    mask = (np.random.rand(*x.shape) < p) / p
    return x * mask, (dropout_param, mask)


def dropout_backward(dout, cache):
    dropout_param, mask = cache
    return dout * mask


def dropout_backward_unscaled(dout, cache):
    dropout_param, mask = cache
    return dout * (mask > 0)
