# bug: zero-init
import torch
import torch.nn as nn


class LoRALinear(nn.Module):
    def __init__(self, base, rank=2):
        super().__init__()
        self.base = base
        for p in base.parameters():
            p.requires_grad_(False)
        self.A = nn.Parameter(torch.zeros(rank, base.in_features))  # <-- cause
        self.B = nn.Parameter(torch.zeros(base.out_features, rank))  # <-- cause

    def forward(self, x):
        return self.base(x) + x @ self.A.T @ self.B.T


torch.manual_seed(0)
layer = LoRALinear(nn.Linear(6, 3))
optimizer = torch.optim.AdamW([p for p in layer.parameters() if p.requires_grad], lr=0.01)
x = torch.randn(16, 6)
y = torch.randint(0, 3, (16,))
for step in range(5):
    loss = nn.functional.cross_entropy(layer(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(step, loss.item())
