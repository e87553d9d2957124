# bug: flag-typo
import torch

torch.manual_seed(0)
data = torch.randn(100, 2)
label = (data.sum(dim=1) > 0).float()

theta = torch.zeros(2)
theta.require_grad = True  # <-- cause
bias = torch.zeros(1)
bias.require_grad = True  # <-- cause

for epoch in range(10):
    p = torch.sigmoid(data @ theta + bias)
    loss = torch.nn.functional.binary_cross_entropy(p, label)
    loss.backward()
    with torch.no_grad():
        theta.sub_(theta.grad)
        bias.sub_(bias.grad)
    theta.grad.zero_()
    bias.grad.zero_()
    print(epoch, loss.item())
