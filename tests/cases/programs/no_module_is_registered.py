# bug: empty-optimizer|plain-list
import torch
import torch.nn as nn


class MLP(nn.Module):
    def __init__(self, sizes):
        super().__init__()
        self.layers = []  # <-- cause
        for a, b in zip(sizes, sizes[1:]):
            self.layers.append(nn.Linear(a, b))

    def forward(self, x):
        for layer in self.layers[:-1]:
            x = torch.relu(layer(x))
        return self.layers[-1](x)


torch.manual_seed(0)
mlp = MLP([3, 8, 8, 1])
optimizer = torch.optim.Adam(mlp.parameters(), lr=1e-3)
x = torch.randn(16, 3)
for epoch in range(3):
    loss = (mlp(x) - x.sum(1, keepdim=True)).pow(2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(loss.item())
