# bug: not-a-number|nan-xlogx|underflow
import torch

torch.manual_seed(0)
X = torch.randn(40, 2) * 100
y = (X[:, 0] > 0).float()
w = torch.zeros(2, requires_grad=True)
b = torch.zeros(1, requires_grad=True)


def cross_entropy(p, y):
    return -(y * torch.log(p) + (1 - y) * torch.log(1 - p)).mean()  # <-- cause


for epoch in range(10):
    p = torch.sigmoid(X @ w + b)
    loss = cross_entropy(p, y)
    loss.backward()
    with torch.no_grad():
        w -= 0.5 * w.grad
        b -= 0.5 * b.grad
    w.grad.zero_()
    b.grad.zero_()
    print(epoch, loss.item())
