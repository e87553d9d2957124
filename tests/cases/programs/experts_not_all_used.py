# right
import torch
import torch.nn as nn


class Experts(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.gate = nn.Linear(4, n)
        self.experts = nn.ModuleList(nn.Linear(4, 1) for _ in range(n))

    def forward(self, x):
        weights = self.gate(x).softmax(-1)
        top, index = weights.max(dim=-1)
        out = torch.zeros(len(x), 1)
        for i, expert in enumerate(self.experts):
            rows = (index == i).nonzero(as_tuple=True)[0]
            if len(rows):
                out[rows] = expert(x[rows]) * top[rows].unsqueeze(1)
        return out


torch.manual_seed(0)
model = Experts(3)
opt = torch.optim.Adam(model.parameters(), lr=0.01)
x = torch.randn(64, 4)
y = x[:, :1].abs()
for step in range(8):
    batch = torch.randint(0, 64, (6,))
    loss = nn.functional.mse_loss(model(x[batch]), y[batch])
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(step, loss.item())
