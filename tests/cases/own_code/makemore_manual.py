# check: forward,backward emb=randn(4,6) W1=randn(6,5) bngain=randn(1,5) bnbias=randn(1,5) W2=randn(5,3) b2=randn(3) Y=tensor([0,2,1,1])
# expect: ok
# check: forward,backward_no_bessel emb=randn(4,6) W1=randn(6,5) bngain=randn(1,5) bnbias=randn(1,5) W2=randn(5,3) b2=randn(3) Y=tensor([0,2,1,1])
# expect: emb value; W1 value
# check: forward,backward_keepdim emb=randn(4,6) W1=randn(6,5) bngain=randn(1,5) bnbias=randn(1,5) W2=randn(5,3) b2=randn(3) Y=tensor([0,2,1,1])
# expect: bngain shape; bnbias shape
# check: forward,backward_hpreact emb=randn(4,6) W1=randn(6,5) bngain=randn(1,5) bnbias=randn(1,5) W2=randn(5,3) b2=randn(3) Y=tensor([0,2,1,1])
# expect: emb value; W1 value; bngain value; bnbias value
# check: cross_entropy,cross_entropy_backward logits=randn(4,3) Y=tensor([0,2,1,1])
# expect: ok
# check: cross_entropy,cross_entropy_backward_no_n logits=randn(4,3) Y=tensor([0,2,1,1])
# expect: logits value slip=ratio|sum-for-mean
# check: cross_entropy,cross_entropy_no_upstream logits=randn(4,3) Y=tensor([0,2,1,1])
# expect: logits value
import torch
import torch.nn.functional as F


def forward(emb, W1, bngain, bnbias, W2, b2, Y):
    n = emb.shape[0]
    hprebn = emb @ W1
    bnmeani = hprebn.mean(0, keepdim=True)
    bndiff = hprebn - bnmeani
    bnvar = 1 / (n - 1) * (bndiff**2).sum(0, keepdim=True)
    bnvar_inv = (bnvar + 1e-5) ** -0.5
    bnraw = bndiff * bnvar_inv
    hpreact = bngain * bnraw + bnbias
    h = torch.tanh(hpreact)
    logits = h @ W2 + b2
    loss = F.cross_entropy(logits, Y)
    return loss, (emb, W1, bngain, W2, Y, bnvar_inv, bnraw, hpreact, h, logits)


def backward(dloss, cache, bessel=True, slope_of="h"):
    emb, W1, bngain, W2, Y, bnvar_inv, bnraw, hpreact, h, logits = cache
    n = emb.shape[0]
    dlogits = F.softmax(logits, 1)
    dlogits[range(n), Y] -= 1
    dlogits *= dloss / n
    dh = dlogits @ W2.T
    dW2 = h.T @ dlogits
    db2 = dlogits.sum(0)
    dhpreact = (1.0 - (h if slope_of == "h" else hpreact) ** 2) * dh
    dbngain = (bnraw * dhpreact).sum(0, keepdim=True)
    dbnbias = dhpreact.sum(0, keepdim=True)
    m = n - 1 if bessel else n
    dhprebn = (
        bngain
        * bnvar_inv
        / n
        * (n * dhpreact - dhpreact.sum(0) - n / m * bnraw * (dhpreact * bnraw).sum(0))
    )
    return dhprebn @ W1.T, emb.T @ dhprebn, dbngain, dbnbias, dW2, db2


def backward_no_bessel(dloss, cache):
    return backward(dloss, cache, bessel=False)


def backward_keepdim(dloss, cache):
    demb, dW1, dbngain, dbnbias, dW2, db2 = backward(dloss, cache)
    return demb, dW1, dbngain.squeeze(0), dbnbias.squeeze(0), dW2, db2


def backward_hpreact(dloss, cache):
    return backward(dloss, cache, slope_of="hpreact")


def cross_entropy(logits, Y):
    counts = (logits - logits.max(1, keepdim=True).values).exp()
    probs = counts * counts.sum(1, keepdims=True) ** -1
    return -probs.log()[range(len(Y)), Y].mean()


def cross_entropy_backward(dloss, logits, Y):
    d = torch.softmax(logits, 1)
    d[range(len(Y)), Y] -= 1
    return dloss * d / len(Y)


def cross_entropy_backward_no_n(dloss, logits, Y):
    return cross_entropy_backward(dloss, logits, Y) * len(Y)


def cross_entropy_no_upstream(dloss, logits, Y):
    d = torch.softmax(logits, 1)
    d[range(len(Y)), Y] -= 1
    return d / len(Y)
