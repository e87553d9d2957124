# bug: conv-channels
import numpy as np
import torch
import torch.nn as nn

rng = np.random.default_rng(0)
photos = rng.integers(0, 256, size=(4, 12, 12, 3)).astype(np.float32) / 255
labels = torch.tensor([0, 1, 1, 0])

torch.manual_seed(0)
model = nn.Sequential(
    nn.Conv2d(3, 6, 3),
    nn.ReLU(),
    nn.AdaptiveMaxPool2d(1),
    nn.Flatten(),
    nn.Linear(6, 2),
)
optimizer = torch.optim.Adam(model.parameters())
batch = torch.from_numpy(photos)  # <-- cause
for epoch in range(2):
    loss = nn.functional.cross_entropy(model(batch), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(epoch, loss.item())
