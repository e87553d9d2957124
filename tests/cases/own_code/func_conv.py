# check: Conv1d x=randn(2,3,7) w=randn(4,3,3)
# expect: ok
# check: Conv1d x=randn(2,3,7) w=randn(4,3,3) --like 'conv1d(x, w)'
# expect: ok
# check: Conv1dNotFlipped x=randn(2,3,7) w=randn(4,3,3)
# expect: x value
# check: SpMM values=randn(5) dense=randn(3,2)
# expect: ok
# check: SpMMWrongSide values=randn(5) dense=randn(3,2)
# expect: dense value
# check: Embedding weight=randn(5,3)
# expect: ok
# check: EmbeddingOverwrites weight=randn(5,3)
# expect: weight value
import torch
import torch.nn.functional as F
from torch.autograd import Function

ROWS = torch.tensor([0, 0, 1, 2, 2])
COLS = torch.tensor([0, 2, 1, 0, 1])
IDS = torch.tensor([0, 3, 3, 1])


class Conv1d(Function):
    @staticmethod
    def forward(ctx, x, w):
        ctx.save_for_backward(x, w)
        return F.conv1d(x, w)

    @staticmethod
    def backward(ctx, g):
        x, w = ctx.saved_tensors
        k = w.shape[2]
        dx = F.conv1d(F.pad(g, (k - 1, k - 1)), w.flip(2).transpose(0, 1))
        patches = x.unfold(2, k, 1)
        dw = torch.einsum("not,nitk->oik", g, patches)
        return dx, dw


class Conv1dNotFlipped(Conv1d):
    @staticmethod
    def backward(ctx, g):
        x, w = ctx.saved_tensors
        k = w.shape[2]
        dx = F.conv1d(F.pad(g, (k - 1, k - 1)), w.transpose(0, 1))
        dw = torch.einsum("not,nitk->oik", g, x.unfold(2, k, 1))
        return dx, dw


class SpMM(Function):
    """A sparse matrix, given by the values at fixed places, times a dense one."""

    @staticmethod
    def forward(ctx, values, dense):
        ctx.save_for_backward(values, dense)
        a = torch.sparse_coo_tensor(torch.stack([ROWS, COLS]), values, (3, 3))
        return torch.sparse.mm(a, dense)

    @staticmethod
    def backward(ctx, g):
        values, dense = ctx.saved_tensors
        dvalues = (g[ROWS] * dense[COLS]).sum(1)
        ddense = torch.zeros_like(dense)
        ddense.index_add_(0, COLS, values[:, None] * g[ROWS])
        return dvalues, ddense


class SpMMWrongSide(SpMM):
    @staticmethod
    def backward(ctx, g):
        values, dense = ctx.saved_tensors
        a = torch.sparse_coo_tensor(torch.stack([ROWS, COLS]), values, (3, 3))
        return (g[ROWS] * dense[COLS]).sum(1), torch.sparse.mm(a, g)


class Embedding(Function):
    @staticmethod
    def forward(ctx, weight):
        ctx.rows = len(weight)
        return weight[IDS]

    @staticmethod
    def backward(ctx, g):
        dw = g.new_zeros(ctx.rows, g.shape[1])
        return dw.index_add_(0, IDS, g)


class EmbeddingOverwrites(Embedding):
    @staticmethod
    def backward(ctx, g):
        dw = g.new_zeros(ctx.rows, g.shape[1])
        dw[IDS] = g
        return dw
