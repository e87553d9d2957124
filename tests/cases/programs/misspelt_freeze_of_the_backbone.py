# bug: flag-typo
import torch
import torch.nn as nn

torch.manual_seed(0)
backbone = nn.Sequential(nn.Linear(6, 12), nn.ReLU())
w0 = backbone[0].weight.detach().clone()
for param in backbone.parameters():
    param.require_grad = False  # <-- cause

model = nn.Sequential(backbone, nn.Linear(12, 2))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
x = torch.randn(20, 6)
y = (x[:, 0] > 0).long()
for epoch in range(4):
    loss = nn.functional.cross_entropy(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(epoch, loss.item())
