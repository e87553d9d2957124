# bug: parameter-copy
import torch
import torch.nn as nn
import torch.nn.functional as F


class HyperLinear(nn.Module):
    """A layer whose weight is the output of another network."""

    def __init__(self, hyper, n_in, n_out):
        super().__init__()
        self.hyper = hyper
        self.n_in, self.n_out = n_in, n_out

    def forward(self, x, task):
        weight = self.hyper(task).view(self.n_out, self.n_in)
        weight = nn.Parameter(weight)  # <-- cause
        return F.linear(x, weight)


torch.manual_seed(0)
hyper = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 6))
layer = HyperLinear(hyper, 3, 2)
head = nn.Linear(2, 1)
opt = torch.optim.Adam([*hyper.parameters(), *head.parameters()], lr=0.01)
x, y = torch.randn(20, 3), torch.randn(20, 1)
for step in range(4):
    task = torch.tensor([1.0, 0.0])
    loss = F.mse_loss(head(torch.relu(layer(x, task))), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(step, loss.item())
