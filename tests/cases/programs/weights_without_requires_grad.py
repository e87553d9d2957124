# bug: no-grad
import torch

torch.manual_seed(0)
n, d = 50, 3
X = torch.randn(n, d)
true_w = torch.tensor([1.0, -2.0, 0.5])
y = X @ true_w + 0.3

w = torch.zeros(d)  # <-- cause
b = torch.zeros(1)  # <-- cause
lr = 0.1


def model(X):
    return X @ w + b


def mse(pred, target):
    return ((pred - target) ** 2).mean()


for epoch in range(20):
    loss = mse(model(X), y)
    loss.backward()
    with torch.no_grad():
        w -= lr * w.grad
        b -= lr * b.grad
    w.grad.zero_()
    b.grad.zero_()
    print(epoch, loss.item())
