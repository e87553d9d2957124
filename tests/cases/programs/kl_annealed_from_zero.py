# right
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)
enc, dec = nn.Linear(10, 6), nn.Linear(3, 10)
opt = torch.optim.Adam([*enc.parameters(), *dec.parameters()], lr=0.01)
x = torch.rand(32, 10)
for step in range(8):
    beta = min(1.0, step / 4)
    mu, logvar = enc(x).chunk(2, dim=1)
    std = torch.exp(0.5 * logvar)
    z = mu + std * torch.randn_like(std)
    bce = F.binary_cross_entropy_with_logits(dec(z), x, reduction="sum") / len(x)
    kld = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp()) / len(x)
    loss = bce + beta * kld
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(step, bce.item(), kld.item())
