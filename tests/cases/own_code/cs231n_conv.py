# check: conv_forward_naive,conv_backward_naive x=randn(2,3,5,5) w=randn(2,3,3,3) b=randn(2)
# expect: ok
# check: conv_forward_naive,conv_backward_keeps_pad x=randn(2,3,5,5) w=randn(2,3,3,3) b=randn(2)
# expect: x shape
# check: conv_forward_naive,conv_backward_assigns x=randn(2,3,5,5) w=randn(2,3,3,3) b=randn(2)
# expect: x value; w value
# check: conv_forward_naive,conv_backward_db x=randn(2,3,5,5) w=randn(2,3,3,3) b=randn(2)
# expect: b value
# check: max_pool_forward_naive,max_pool_backward_naive x=randn(2,2,4,4)
# expect: ok
# check: max_pool_forward_naive,max_pool_backward_all x=randn(2,2,4,4)
# expect: x value
import numpy as np

CONV = {"stride": 2, "pad": 1}


def conv_forward_naive(x, w, b, conv_param=CONV):
    stride, pad = conv_param["stride"], conv_param["pad"]
    N, C, H, W = x.shape
    F, _, HH, WW = w.shape
    Ho, Wo = 1 + (H + 2 * pad - HH) // stride, 1 + (W + 2 * pad - WW) // stride
    xp = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)), mode="constant")
    out = np.zeros((N, F, Ho, Wo))
    for n in range(N):
        for f in range(F):
            for i in range(Ho):
                for j in range(Wo):
                    window = xp[n, :, i * stride : i * stride + HH, j * stride : j * stride + WW]
                    out[n, f, i, j] = np.sum(window * w[f]) + b[f]
    cache = (x, w, b, conv_param)
    return out, cache


def _backward(dout, cache, assign=False):
    x, w, b, conv_param = cache
    stride, pad = conv_param["stride"], conv_param["pad"]
    N, F, Ho, Wo = dout.shape
    HH, WW = w.shape[2:]
    xp = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)), mode="constant")
    dxp, dw, db = np.zeros_like(xp), np.zeros_like(w), np.zeros_like(b)
    for n in range(N):
        for f in range(F):
            db[f] += dout[n, f].sum()
            for i in range(Ho):
                for j in range(Wo):
                    rows, cols = slice(i * stride, i * stride + HH), slice(j * stride, j * stride + WW)
                    if assign:
                        dxp[n, :, rows, cols] = w[f] * dout[n, f, i, j]
                        dw[f] = xp[n, :, rows, cols] * dout[n, f, i, j]
                    else:
                        dxp[n, :, rows, cols] += w[f] * dout[n, f, i, j]
                        dw[f] += xp[n, :, rows, cols] * dout[n, f, i, j]
    return dxp, dw, db, pad


def conv_backward_naive(dout, cache):
    dxp, dw, db, pad = _backward(dout, cache)
    return dxp[:, :, pad:-pad, pad:-pad], dw, db


def conv_backward_keeps_pad(dout, cache):
    dxp, dw, db, pad = _backward(dout, cache)
    return dxp, dw, db


def conv_backward_assigns(dout, cache):
    dxp, dw, db, pad = _backward(dout, cache, assign=True)
    return dxp[:, :, pad:-pad, pad:-pad], dw, db


def conv_backward_db(dout, cache):
    dxp, dw, db, pad = _backward(dout, cache)
    return dxp[:, :, pad:-pad, pad:-pad], dw, dout[:, :, 0, 0].sum(axis=0)


def max_pool_forward_naive(x, pool_param={"pool_height": 2, "pool_width": 2, "stride": 2}):
    h, w, s = pool_param["pool_height"], pool_param["pool_width"], pool_param["stride"]
    N, C, H, W = x.shape
    out = np.zeros((N, C, 1 + (H - h) // s, 1 + (W - w) // s))
    for i in range(out.shape[2]):
        for j in range(out.shape[3]):
            out[:, :, i, j] = x[:, :, i * s : i * s + h, j * s : j * s + w].max(axis=(2, 3))
    return out, (x, pool_param)


def max_pool_backward_naive(dout, cache):
    x, pool_param = cache
    h, w, s = pool_param["pool_height"], pool_param["pool_width"], pool_param["stride"]
    dx = np.zeros(x.shape)
    for i in range(dout.shape[2]):
        for j in range(dout.shape[3]):
            window = x[:, :, i * s : i * s + h, j * s : j * s + w]
            mask = window == window.max(axis=(2, 3), keepdims=True)
            dx[:, :, i * s : i * s + h, j * s : j * s + w] += mask * dout[:, :, i, j][:, :, None, None]
    return dx


def max_pool_backward_all(dout, cache):
    """Spreads the gradient as an average pool would."""
    x, pool_param = cache
    s = pool_param["stride"]
    return dout.repeat(s, axis=2).repeat(s, axis=3) / (s * s)
