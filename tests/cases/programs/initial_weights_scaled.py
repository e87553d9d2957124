# bug: optimizer-leaf
import math

import torch
import torch.optim as optim

torch.manual_seed(0)
n_in, n_hidden = 4, 6
W1 = torch.randn(n_in, n_hidden, requires_grad=True) / math.sqrt(n_in)  # <-- cause
b1 = torch.zeros(n_hidden, requires_grad=True)
W2 = torch.randn(n_hidden, 1, requires_grad=True) / math.sqrt(n_hidden)  # <-- cause
b2 = torch.zeros(1, requires_grad=True)
optimizer = optim.SGD([W1, b1, W2, b2], lr=0.05)

x = torch.rand(20, n_in)
y = x.mean(1, keepdim=True)
for epoch in range(5):
    optimizer.zero_grad()
    out = torch.relu(x @ W1 + b1) @ W2 + b2
    loss = ((out - y) ** 2).mean()
    loss.backward()
    optimizer.step()
    print(epoch, loss.item())
