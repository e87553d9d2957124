# bug: sampled
import torch
import torch.nn as nn
from torch.distributions import Normal, kl_divergence

torch.manual_seed(0)


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Linear(9, 12)
        self.mu = nn.Linear(12, 2)
        self.log_std = nn.Linear(12, 2)

    def forward(self, x):
        h = torch.relu(self.body(x))
        return Normal(self.mu(h), self.log_std(h).exp())


encoder = Encoder()
decoder = nn.Sequential(nn.Linear(2, 12), nn.ReLU(), nn.Linear(12, 9))
opt = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=1e-2)
x = torch.rand(32, 9)
for epoch in range(4):
    q = encoder(x)
    z = q.sample()  # <-- cause
    recon = ((decoder(z) - x) ** 2).sum(1).mean()
    kl = kl_divergence(q, Normal(0.0, 1.0)).sum(1).mean()
    loss = recon + kl
    grads_only_from_kl = not z.requires_grad
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(epoch, recon.item(), kl.item())
