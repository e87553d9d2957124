# bug: not-a-number
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
raw = torch.rand(30, 4)
raw[:, 2] = 7.0
target = raw[:, :1] + raw[:, 3:]


def standardise(t):
    mean = t.mean(dim=0)
    std = t.std(dim=0)
    return (t - mean) / std  # <-- cause


loader = DataLoader(TensorDataset(standardise(raw), target), batch_size=15)
model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
for epoch in range(3):
    for x, t in loader:
        loss = nn.functional.mse_loss(model(x), t)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(epoch, loss.item())
