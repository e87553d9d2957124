# bug: plain-list|empty-optimizer
import torch
import torch.nn as nn


class Regression(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.offset = torch.zeros(1)
        self.w = torch.randn(size, 1, requires_grad=True)  # <-- cause

    def forward(self, x):
        return x @ self.w + self.offset


torch.manual_seed(0)
model = Regression(3)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
x = torch.randn(16, 3)
for epoch in range(3):
    loss = (model(x) - x.sum(1, keepdim=True)).pow(2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(loss.item())
