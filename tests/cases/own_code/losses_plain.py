# check: log_cosh pred=randn(6) target=randn(6)
# expect: ok
# check: focal_loss logits=randn(4,3) target=tensor([0,2,1,1])
# expect: ok
# check: focal_loss_v2 logits=randn(4,3) target=tensor([0,2,1,1])
# expect: logits value
# check: dice a=rand(3,4) b=rand(3,4)
# expect: ok
# check: rmse pred=1,2,3 target=1,2,3
# expect: pred nan; target nan
# check: rmse pred=1,2,4 target=1,2,3
# expect: ok
"""Losses from my segmentation project."""

import torch
import torch.nn.functional as F


def log_cosh(pred, target):
    return torch.log(torch.cosh(pred - target)).mean()


def focal_loss(logits, target, gamma=2.0):
    logp = F.log_softmax(logits, dim=1)
    logp_t = logp.gather(1, target.unsqueeze(1)).squeeze(1)
    p_t = logp_t.exp()
    return (-((1 - p_t) ** gamma) * logp_t).mean()


def focal_loss_v2(logits, target, gamma=2.0):
    ce = F.cross_entropy(logits, target, reduction="none")
    with torch.no_grad():  # the weight of an example
        pt = torch.exp(-ce)
    return ((1 - pt) ** gamma * ce).mean()


def dice(a, b, smooth=1.0):
    inter = (a * b).sum(dim=1)
    return 1 - ((2 * inter + smooth) / (a.sum(dim=1) + b.sum(dim=1) + smooth)).mean()


def rmse(pred, target):
    return torch.sqrt(torch.mean((pred - target) ** 2))
