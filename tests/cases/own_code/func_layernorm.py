# check: LayerNorm x=randn(3,5) gamma=randn(5) beta=randn(5)
# expect: ok
# check: LayerNorm x=randn(3,5) gamma=randn(5) beta=randn(5) --like 'layer_norm(x, (5,), gamma, beta)'
# expect: ok
# check: LayerNormNoMean x=randn(3,5) gamma=randn(5) beta=randn(5)
# expect: x value
# check: LayerNormUnbiased x=randn(3,5) gamma=randn(5) beta=randn(5) --like 'layer_norm(x, (5,), gamma, beta)'
# expect: forward
# check: RMSNorm x=randn(3,5) w=randn(5)
# expect: ok
# check: RMSNormForgetsW x=randn(3,5) w=randn(5)
# expect: x value
import torch
from torch.autograd import Function


class LayerNorm(Function):
    @staticmethod
    def forward(ctx, x, gamma, beta, eps=1e-5):
        mu = x.mean(-1, keepdim=True)
        var = ((x - mu) ** 2).mean(-1, keepdim=True)
        rstd = 1 / torch.sqrt(var + eps)
        xhat = (x - mu) * rstd
        ctx.save_for_backward(xhat, rstd, gamma)
        return gamma * xhat + beta

    @staticmethod
    def backward(ctx, dy):
        xhat, rstd, gamma = ctx.saved_tensors
        dgamma = (dy * xhat).sum(0)
        dbeta = dy.sum(0)
        dxhat = dy * gamma
        dx = rstd * (dxhat - dxhat.mean(-1, keepdim=True) - xhat * (dxhat * xhat).mean(-1, keepdim=True))
        return dx, dgamma, dbeta, None


class LayerNormNoMean(Function):
    @staticmethod
    def forward(ctx, x, gamma, beta, eps=1e-5):
        mu = x.mean(-1, keepdim=True)
        var = ((x - mu) ** 2).mean(-1, keepdim=True)
        rstd = 1 / torch.sqrt(var + eps)
        xhat = (x - mu) * rstd
        ctx.save_for_backward(xhat, rstd, gamma)
        return gamma * xhat + beta

    @staticmethod
    def backward(ctx, dy):
        xhat, rstd, gamma = ctx.saved_tensors
        dxhat = dy * gamma
        dx = rstd * (dxhat - xhat * (dxhat * xhat).mean(-1, keepdim=True))
        return dx, (dy * xhat).sum(0), dy.sum(0), None


class LayerNormUnbiased(LayerNorm):
    @staticmethod
    def forward(ctx, x, gamma, beta, eps=1e-5):
        mu = x.mean(-1, keepdim=True)
        rstd = 1 / (x.std(-1, keepdim=True) + eps)
        xhat = (x - mu) * rstd
        ctx.save_for_backward(xhat, rstd, gamma)
        return gamma * xhat + beta


class RMSNorm(Function):
    @staticmethod
    def forward(ctx, x, w):
        r = torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6)
        ctx.save_for_backward(x, w, r)
        return x * r * w

    @staticmethod
    def backward(ctx, g):
        x, w, r = ctx.saved_tensors
        gw = g * w
        dx = r * gw - x * r**3 * (gw * x).mean(-1, keepdim=True)
        return dx, (g * x * r).sum(0)


class RMSNormForgetsW(RMSNorm):
    @staticmethod
    def backward(ctx, g):
        x, w, r = ctx.saved_tensors
        dx = r * g - x * r**3 * (g * x).mean(-1, keepdim=True)
        return dx, (g * x * r).sum(0)
