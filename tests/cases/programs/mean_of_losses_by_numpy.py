# bug: numpy-on-grad
import numpy as np
import torch
import torch.nn as nn


def make_data(n=40):
    rng = np.random.RandomState(0)
    x = rng.rand(n, 2).astype(np.float32)
    y = (x[:, 0] * x[:, 1]).astype(np.float32)
    return torch.from_numpy(x), torch.from_numpy(y).unsqueeze(1)


torch.manual_seed(0)
x, y = make_data()
model = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 1))
opt = torch.optim.Adam(model.parameters(), lr=0.01)

for epoch in range(3):
    losses = []
    for i in range(0, 40, 10):
        pred = model(x[i : i + 10])
        rmse = np.sqrt(((pred - y[i : i + 10]) ** 2).mean())  # <-- cause
        opt.zero_grad()
        rmse.backward()
        opt.step()
        losses.append(float(rmse))
    print(epoch, np.mean(losses))
