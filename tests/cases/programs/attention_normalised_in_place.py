# bug: inplace-saved
import math

import torch
import torch.nn as nn


class Attention(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.q = nn.Linear(dim, dim)
        self.k = nn.Linear(dim, dim)
        self.v = nn.Linear(dim, dim)
        self.dim = dim

    def forward(self, x):
        q, k, v = self.q(x), self.k(x), self.v(x)
        scores = q @ k.transpose(-2, -1) / math.sqrt(self.dim)
        weights = torch.exp(scores - scores.max(dim=-1, keepdim=True).values.detach())
        weights /= weights.sum(dim=-1, keepdim=True)  # <-- cause
        return weights @ v


def main():
    torch.manual_seed(1)
    net = nn.Sequential(Attention(8), nn.Linear(8, 2))
    opt = torch.optim.Adam(net.parameters(), lr=1e-2)
    x = torch.randn(3, 5, 8)
    y = torch.randint(0, 2, (3, 5))
    for step in range(4):
        logits = net(x)
        loss = nn.functional.cross_entropy(logits.reshape(-1, 2), y.reshape(-1))
        opt.zero_grad()
        loss.backward()
        opt.step()
        print(step, float(loss.detach()))


if __name__ == "__main__":
    main()
