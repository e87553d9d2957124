# bug: zero-init
import torch
import torch.nn as nn


def init(m):
    if isinstance(m, nn.Linear):
        nn.init.zeros_(m.weight)  # <-- cause
        nn.init.zeros_(m.bias)


torch.manual_seed(0)
net = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 2))
net.apply(init)  # <-- cause
optimizer = torch.optim.SGD(net.parameters(), lr=0.5)
X = torch.randn(50, 2)
y = (X[:, 0] > X[:, 1]).long()
for epoch in range(10):
    loss = nn.functional.cross_entropy(net(X), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(epoch, loss.item())
