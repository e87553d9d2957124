# bug: dtype-mix
import numpy as np
import torch
from torch import nn

np.random.seed(0)
torch.manual_seed(0)
x_np = np.linspace(0, 1, 30).reshape(-1, 1)
y_np = np.sin(2 * np.pi * x_np) + 0.1 * np.random.randn(30, 1)

x = torch.from_numpy(x_np)  # <-- cause
y = torch.from_numpy(y_np)

net = nn.Sequential(nn.Linear(1, 16), nn.Tanh(), nn.Linear(16, 1))
optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
for epoch in range(5):
    pred = net(x)
    loss = nn.functional.mse_loss(pred, y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(epoch, loss.item())
