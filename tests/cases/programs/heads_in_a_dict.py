# bug: plain-list|not-in-optimizer
import torch
import torch.nn as nn


class MultiHead(nn.Module):
    def __init__(self, tasks):
        super().__init__()
        self.shared = nn.Linear(5, 8)
        self.heads = {}
        for task in tasks:
            self.heads[task] = nn.Linear(8, 1)  # <-- cause

    def forward(self, x, task):
        return self.heads[task](torch.tanh(self.shared(x)))


torch.manual_seed(0)
tasks = ("age", "income")
model = MultiHead(tasks)
opt = torch.optim.Adam(model.parameters(), lr=0.02)
x = torch.randn(24, 5)
targets = {"age": x[:, :1] * 3, "income": x.mean(1, keepdim=True)}
for epoch in range(6):
    loss = sum(nn.functional.mse_loss(model(x, t), targets[t]) for t in tasks)
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(epoch, loss.item())
