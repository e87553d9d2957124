# bug: numpy-on-grad|detached
import numpy as np
import torch
import torch.nn as nn

torch.manual_seed(0)
backbone = nn.Sequential(nn.Linear(5, 8), nn.ReLU())
head = nn.Linear(8, 2)
optimizer = torch.optim.Adam([*backbone.parameters(), *head.parameters()], lr=0.01)
x = torch.randn(24, 5)
y = (x[:, 1] > 0).long()


def normalise(features):
    f = features.detach().numpy()  # <-- cause
    f = f / (np.linalg.norm(f, axis=1, keepdims=True) + 1e-8)
    return torch.as_tensor(f)


for epoch in range(5):
    logits = head(normalise(backbone(x)))
    loss = nn.functional.cross_entropy(logits, y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(epoch, loss.item())
