# bug: non-scalar
import torch

g = torch.Generator().manual_seed(0)
X = torch.randn(25, 2, generator=g)
t = X @ torch.tensor([[2.0], [-1.0]])
W = torch.randn(2, 1, generator=g, requires_grad=True)


def loss_fn(y, t):
    return 0.5 * (y - t) ** 2  # <-- cause


for step in range(100):
    y = X @ W
    loss = loss_fn(y, t)
    loss.backward()
    W.data -= 0.1 * W.grad
    W.grad.zero_()
    if step % 20 == 0:
        print(step, loss.sum())
