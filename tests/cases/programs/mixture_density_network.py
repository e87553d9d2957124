# right
import math

import torch
import torch.nn as nn


class MDN(nn.Module):
    def __init__(self, k):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(1, 16), nn.Tanh())
        self.pi, self.mu, self.log_sigma = (nn.Linear(16, k) for _ in range(3))

    def forward(self, x):
        h = self.body(x)
        return torch.log_softmax(self.pi(h), dim=1), self.mu(h), self.log_sigma(h)


def nll(log_pi, mu, log_sigma, y):
    z = (y.unsqueeze(1) - mu) / log_sigma.exp()
    log_p = -0.5 * z**2 - log_sigma - 0.5 * math.log(2 * math.pi)
    return -torch.logsumexp(log_pi + log_p, dim=1).mean()


torch.manual_seed(0)
y = torch.rand(50) * 2 - 1
x = (y + 0.3 * torch.sin(6 * y) + 0.05 * torch.randn(50)).unsqueeze(1)
model = MDN(4)
optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
for step in range(8):
    loss = nll(*model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(step, loss.item())
