# bug: reassigned-leaf
import torch

torch.manual_seed(0)
X = torch.randn(30, 2)
y = X @ torch.tensor([1.5, -0.5])
w = torch.zeros(2, requires_grad=True)

for epoch in range(10):
    loss = ((X @ w - y) ** 2).mean()
    loss.backward()
    w = w - 0.1 * w.grad  # <-- cause
    w.grad.zero_()
    print(epoch, loss.item())
