# bug: not-a-number|underflow
import torch
import torch.nn as nn

torch.manual_seed(0)


def softmax(z):
    e = torch.exp(z)  # <-- cause
    return e / e.sum(dim=1, keepdim=True)  # <-- cause


pixels = torch.randint(0, 256, (20, 9)).float()
digits = torch.randint(0, 3, (20,))
W = (torch.randn(9, 3)).requires_grad_()
optimizer = torch.optim.SGD([W], lr=1e-3)
for epoch in range(4):
    probabilities = softmax(pixels @ W)
    loss = -torch.log(probabilities[range(20), digits] + 1e-9).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(epoch, loss.item())
