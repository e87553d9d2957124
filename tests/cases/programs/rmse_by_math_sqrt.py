# bug: scalar-of-grad|item-breaks
import math

import torch

torch.manual_seed(0)
x = torch.linspace(-1, 1, 21)
y = 3 * x + 0.5
a = torch.tensor(0.0, requires_grad=True)
b = torch.tensor(0.0, requires_grad=True)
opt = torch.optim.SGD([a, b], lr=0.1)


def rmse(pred, target):
    mse = ((pred - target) ** 2).mean()
    return math.sqrt(mse)  # <-- cause


for epoch in range(20):
    opt.zero_grad()
    loss = rmse(a * x + b, y)
    loss.backward()
    opt.step()
    print(epoch, loss)
