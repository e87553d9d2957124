# bug: nan-sqrt|anomaly
import torch
import torch.nn as nn

torch.manual_seed(0)
net = nn.Linear(6, 3)
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
a = torch.randn(8, 6)
b = torch.randn(8, 6)
b[0] = a[0]  # the same picture twice
same = torch.tensor([1.0, 0, 0, 1, 0, 1, 0, 0])


def contrastive(za, zb, same, margin=1.0):
    d = torch.sqrt(((za - zb) ** 2).sum(dim=1))  # <-- cause
    return (same * d**2 + (1 - same) * torch.relu(margin - d) ** 2).mean()


for epoch in range(3):
    loss = contrastive(net(a), net(b), same)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(epoch, loss.item())
