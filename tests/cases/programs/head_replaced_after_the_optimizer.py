# bug: not-in-optimizer
import torch
import torch.nn as nn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 10))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)  # <-- cause

# fine-tune on a task with two classes
model[-1] = nn.Linear(12, 2)  # <-- cause
start = model[-1].weight.detach().clone()

x = torch.randn(40, 6)
y = (x[:, 0] * x[:, 1] > 0).long()
for epoch in range(10):
    loss = nn.functional.cross_entropy(model(x), y)
    model.zero_grad()
    loss.backward()
    optimizer.step()
    print(epoch, loss.item())
