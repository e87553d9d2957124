# bug: numpy-on-grad|detached
import numpy as np
import torch
import torch.nn as nn

torch.manual_seed(0)
np.random.seed(0)
net = nn.Linear(3, 3)
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
x = torch.randn(10, 3)
y = torch.randint(0, 3, (10,))


def temperature(logits, t=2.0):
    z = logits.detach().numpy() / t  # <-- cause
    z = z - z.max(axis=1, keepdims=True)
    e = np.exp(z)
    return torch.from_numpy(e / e.sum(axis=1, keepdims=True))


for step in range(3):
    p = temperature(net(x))
    loss = -torch.log(p[torch.arange(10), y]).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(step, loss.item())
