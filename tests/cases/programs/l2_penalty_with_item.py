# bug: item-breaks
import torch
import torch.nn as nn

torch.manual_seed(0)
x = torch.randn(15, 10)
y = torch.randn(15, 1)
model = nn.Linear(10, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.0001)
LAMBDA = 5.0


def penalty(model):
    total = 0
    for p in model.parameters():
        total += p.pow(2).sum().item()  # <-- cause
    return LAMBDA * total


for epoch in range(5):
    mse = ((model(x) - y) ** 2).mean()
    loss = mse + penalty(model)
    optimizer.zero_grad()
    loss.backward()
    if epoch < 4:
        optimizer.step()
    print(epoch, mse.item(), loss.item())
