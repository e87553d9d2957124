# bug: sigmoid-twice
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)
G = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1))
D = nn.Sequential(nn.Linear(1, 8), nn.LeakyReLU(0.2), nn.Linear(8, 1), nn.Sigmoid())  # <-- cause
g_opt = torch.optim.Adam(G.parameters(), lr=2e-3)
d_opt = torch.optim.Adam(D.parameters(), lr=2e-3)


def gan_loss(score, real):
    label = torch.ones_like(score) if real else torch.zeros_like(score)
    return F.binary_cross_entropy_with_logits(score, label)  # <-- cause


for i in range(4):
    real = 1.5 + 0.3 * torch.randn(12, 1)
    fake = G(torch.randn(12, 2))
    d_loss = gan_loss(D(real), True) + gan_loss(D(fake.detach()), False)  # <-- cause
    d_opt.zero_grad()
    d_loss.backward()
    d_opt.step()
    g_loss = gan_loss(D(fake), True)  # <-- cause
    g_opt.zero_grad()
    g_loss.backward()
    g_opt.step()
    print(i, d_loss.item(), g_loss.item())
