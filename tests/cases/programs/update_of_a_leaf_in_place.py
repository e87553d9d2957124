# bug: inplace-leaf
import torch

torch.manual_seed(0)
x = torch.linspace(0, 1, 25)
y = torch.exp(-x)
coefficients = torch.zeros(4, requires_grad=True)
powers = torch.stack([x**k for k in range(4)], dim=1)

for t in range(50):
    y_pred = powers @ coefficients
    loss = (y_pred - y).pow(2).sum()
    loss.backward()
    coefficients -= 0.01 * coefficients.grad  # <-- cause
    coefficients.grad = None
    if t % 10 == 0:
        print(t, loss.item())
