# check: my_gelu x=randn(5) --like 'gelu(x)'
# expect: ok
# check: tanh_gelu x=randn(5) --like 'gelu(x)'
# expect: forward
# check: tanh_gelu x=randn(5) --like "gelu(x, approximate='tanh')"
# expect: ok
# check: my_bce p=0.2,0.7,0.9 y=0,1,1 --like 'bce(p, y)'
# expect: ok
# check: my_bce_sum p=0.2,0.7,0.9 y=0,1,1 --like 'bce(p, y)'
# expect: forward
# check: my_kl a=randn(2,3) b=randn(2,3) --like "kl_div(log_softmax(a, 1), softmax(b, 1), reduction='batchmean')"
# expect: ok
# check: mse_rows x=randn(4,1) y=randn(4) --like 'mse(x.squeeze(1), y)'
# expect: forward
# check: huber x=randn(5) --like 'huber(x, 0*x)'
# expect: ok
# check: smooth_detached x=randn(5) --like 'x*sigmoid(x)'
# expect: x value
import math

import torch


def my_gelu(x):
    return 0.5 * x * (1 + torch.erf(x / math.sqrt(2)))


def tanh_gelu(x):
    return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def my_bce(p, y):
    return -(y * p.log() + (1 - y) * (1 - p).log()).mean()


def my_bce_sum(p, y):
    return -(y * p.log() + (1 - y) * (1 - p).log()).sum()


def my_kl(a, b):
    logp, logq = torch.log_softmax(a, 1), torch.log_softmax(b, 1)
    return (logq.exp() * (logq - logp)).sum(1).mean()


def mse_rows(x, y):
    """The shapes [4, 1] and [4] broadcast to [4, 4]."""
    return ((x - y) ** 2).mean()


def huber(x, delta=1.0):
    a = x.abs()
    return torch.where(a <= delta, 0.5 * x**2, delta * (a - 0.5 * delta)).mean()


def smooth_detached(x):
    return x * torch.sigmoid(x.detach())
