# bug: accumulate
import torch

torch.manual_seed(0)
x = torch.arange(0.0, 1.0, 0.05)
y = 2 * x + 1
w = torch.randn((), requires_grad=True)
b = torch.zeros((), requires_grad=True)
lr = 0.3
losses = []


def forward(x):
    return w * x + b


for i in range(10):
    loss = (forward(x) - y).square().mean()
    loss.backward()  # <-- cause
    with torch.no_grad():
        w -= lr * w.grad  # <-- cause
        b -= lr * b.grad  # <-- cause
    losses.append(loss.item())
    print(i, w.item(), b.item(), losses[-1])
