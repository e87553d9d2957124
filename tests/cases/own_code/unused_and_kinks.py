# check: relu_sum x=-1,0,2
# expect: ok
# check: weighted x=randn(3) w=randn(3) unused=randn(2)
# expect: ok
# check: top x=3,1,2
# expect: ok
# check: hard_count x=0.2,0.7,0.9
# expect: ok
# check: soft_count x=0.2,0.7,0.9
# expect: ok
# check: soft_count_rounded x=0.2,0.7,0.9
# expect: x value
# check: safe_log x=0,1,2
# expect: x nan
import torch


def relu_sum(x):
    return torch.relu(x).sum()


def weighted(x, w, unused):
    return x @ w


def top(x):
    return x.max()


def hard_count(x):
    """How many are above a half, and their sum: the count has slope 0, which is right."""
    return (x > 0.5).double().sum() * 0 + x.sum()


def soft_count(x, sharp=4.0):
    return torch.sigmoid(sharp * (x - 0.5)).sum()


def soft_count_rounded(x, sharp=4.0):
    s = torch.sigmoid(sharp * (x - 0.5))
    return ((s - s.detach()) + s.detach() ** 2).sum()


def safe_log(x):
    return torch.where(x > 0, torch.log(x), torch.zeros_like(x)).sum()
