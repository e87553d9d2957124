# bug: class-shape
import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

rng = np.random.default_rng(0)
X = rng.normal(size=(24, 3)).astype("float32")
y = (X.sum(axis=1) > 0).astype("int64").reshape(-1, 1)  # <-- cause

dataset = TensorDataset(torch.from_numpy(X), torch.from_numpy(y))  # <-- cause
loader = DataLoader(dataset, batch_size=8)
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(3, 6), nn.ReLU(), nn.Linear(6, 2))
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
loss_fn = nn.CrossEntropyLoss()

for epoch in range(2):
    for xb, yb in loader:
        loss = loss_fn(model(xb), yb)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(epoch, loss.item())
