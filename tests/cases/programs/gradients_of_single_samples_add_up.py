# right
import torch

torch.manual_seed(0)
X = torch.randn(12, 3)
Y = (X.sum(1) > 0).float()
w = torch.zeros(3, requires_grad=True)
b = torch.zeros(1, requires_grad=True)


def loss_of(i):
    z = torch.dot(w, X[i]) + b
    return torch.nn.functional.softplus(-(2 * Y[i] - 1) * z).sum()


for epoch in range(5):
    total = 0.0
    for i in range(12):
        loss = loss_of(i)
        loss.backward()
        total += loss.item()
    for p in (w, b):
        p.data -= 0.5 / 12 * p.grad
        p.grad = None
    print(epoch, total / 12)
