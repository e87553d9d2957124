# check: attention q=randn(3,4) k=randn(5,4) v=randn(5,2)
# expect: ok
# check: stable_attention q=randn(3,4) k=randn(5,4) v=randn(5,2)
# expect: ok
# check: attention_detached_scores q=randn(3,4) k=randn(5,4) v=randn(5,2)
# expect: q none; k none
# check: cosine_attention q=randn(3,4) k=randn(5,4) v=randn(5,2)
# expect: k value
import math

import torch


def attention(q, k, v):
    scores = q @ k.transpose(0, 1) / math.sqrt(q.size(-1))
    return torch.softmax(scores, dim=-1) @ v


def stable_attention(q, k, v):
    scores = q @ k.T / math.sqrt(q.size(-1))
    # the maximum needs no gradient: softmax does not change when a constant is subtracted
    scores = scores - scores.max(dim=-1, keepdim=True).values.detach()
    e = scores.exp()
    return (e / e.sum(-1, keepdim=True)) @ v


def attention_detached_scores(q, k, v):
    scores = torch.tensor((q @ k.T / math.sqrt(q.size(-1))).tolist())
    return torch.softmax(scores, dim=-1) @ v


def cosine_attention(q, k, v):
    qn = q / q.norm(dim=-1, keepdim=True)
    kn = k / k.norm(dim=-1, keepdim=True).detach()
    return torch.softmax(10 * qn @ kn.T, -1) @ v
