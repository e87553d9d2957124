# bug: frozen
import torch
from torch import nn

torch.manual_seed(0)
net = nn.Sequential()
net.add_module("features", nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU()))
net.add_module("classifier", nn.Linear(16, 10))

# new task with 2 classes
net.classifier = nn.Linear(16, 2)
net.requires_grad_(False)  # <-- cause

x = torch.randn(30, 8)
y = (x.sum(1) > 0).long()
optimizer = torch.optim.Adam(net.classifier.parameters(), lr=0.01)
loss_fn = nn.CrossEntropyLoss()

net.train()
for epoch in range(5):
    out = net(x)
    loss = loss_fn(out, y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    acc = (out.argmax(1) == y).float().mean()
    print(epoch, loss.item(), acc.item())
