# check: silu,silu_backward x=randn(5)
# expect: ok
# check: silu,silu_backward_sigmoid_only x=randn(5)
# expect: x value
# check: bmm,bmm_backward a=randn(2,3,4) b=randn(2,4,5)
# expect: ok
# check: bmm,bmm_backward_t a=randn(2,3,3) b=randn(2,3,3)
# expect: b value
# check: attention_forward,attention_backward q=randn(3,4) k=randn(5,4) v=randn(5,2)
# expect: ok
# check: attention_forward,attention_backward_no_scale q=randn(3,4) k=randn(5,4) v=randn(5,2)
# expect: q value slip=factor-2; k value slip=factor-2
# check: norm,norm_backward x=3,4
# expect: ok
# check: norm,norm_backward x=0,0
# expect: x nan
# check: standardize,standardize_backward x=randn(5)
# expect: x mutates
import torch


def silu(x):
    return x * torch.sigmoid(x)


def silu_backward(g, x):
    s = torch.sigmoid(x)
    return g * (s + x * s * (1 - s))


def silu_backward_sigmoid_only(g, x):
    s = torch.sigmoid(x)
    return g * x * s * (1 - s)


def bmm(a, b):
    return torch.bmm(a, b)


def bmm_backward(g, a, b):
    return g @ b.transpose(1, 2), a.transpose(1, 2) @ g


def bmm_backward_t(g, a, b):
    return g @ b.transpose(1, 2), a @ g


def attention_forward(q, k, v):
    p = torch.softmax(q @ k.T / k.shape[1] ** 0.5, dim=1)
    return p @ v, (q, k, v, p)


def attention_backward(do, cache, scale=True):
    q, k, v, p = cache
    dv = p.T @ do
    dp = do @ v.T
    ds = p * (dp - (dp * p).sum(1, keepdim=True))
    if scale:
        ds = ds / k.shape[1] ** 0.5
    return [ds @ k, ds.T @ q, dv]


def attention_backward_no_scale(do, cache):
    return attention_backward(do, cache, scale=False)


def norm(x):
    return torch.sqrt((x * x).sum())


def norm_backward(g, x):
    return g * x / torch.sqrt((x * x).sum())


def standardize(x):
    return (x - x.mean()) / 2


def standardize_backward(g, x):
    x -= x.mean()
    return (g - g.mean()) / 2
