# bug: empty-optimizer
import torch
import torch.nn as nn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(4, 10), nn.ReLU(), nn.Linear(10, 3))
params = model.parameters()
count = sum(p.numel() for p in params)  # <-- cause
print(f"{count} parameters")
optimizer = torch.optim.SGD(params, lr=0.1)  # <-- cause

x = torch.randn(10, 4)
y = torch.randint(0, 3, (10,))
for epoch in range(3):
    loss = nn.functional.cross_entropy(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
