# bug: dtype-mix
import numpy as np
import torch
import torch.nn as nn

torch.manual_seed(0)
X = torch.randn(40, 6)
y = (X[:, 0] > 1).long()

counts = np.bincount(y.numpy(), minlength=2)
weights = torch.tensor(len(y) / (2.0 * counts))  # <-- cause

model = nn.Linear(6, 2)
criterion = nn.CrossEntropyLoss(weight=weights)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for epoch in range(3):
    optimizer.zero_grad()
    loss = criterion(model(X), y)
    loss.backward()
    optimizer.step()
    print(epoch, loss.item())
