# bug: broadcast
import torch
from torch.utils.data import DataLoader, TensorDataset


class LinearRegression:
    def __init__(self, d):
        self.w = torch.zeros(d, 1, requires_grad=True)
        self.b = torch.zeros(1, requires_grad=True)

    def __call__(self, X):
        return X @ self.w + self.b

    def loss(self, y_hat, y):
        return ((y_hat - y) ** 2 / 2).mean()  # <-- cause


torch.manual_seed(0)
X = torch.randn(60, 2)
y = X @ torch.tensor([2.0, -3.4]) + 4.2
loader = DataLoader(TensorDataset(X, y), batch_size=20, shuffle=True)
model = LinearRegression(2)
for epoch in range(5):
    for xb, yb in loader:
        loss = model.loss(model(xb), yb)
        loss.backward()
        with torch.no_grad():
            for p in (model.w, model.b):
                p -= 0.1 * p.grad
                p.grad.zero_()
    print(epoch, loss.item())
