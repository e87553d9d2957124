# bug: step-before-backward
import torch
import torch.nn as nn

torch.manual_seed(0)
G = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 2))
D = nn.Sequential(nn.Linear(2, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1))
opt_g = torch.optim.Adam(G.parameters(), lr=1e-3)
opt_d = torch.optim.Adam(D.parameters(), lr=1e-3)
bce = nn.BCEWithLogitsLoss()
real_label = torch.ones(8, 1)
fake_label = torch.zeros(8, 1)

for it in range(3):
    real = torch.randn(8, 2) * 0.5 + 2
    noise = torch.randn(8, 2)
    fake = G(noise)

    d_real = D(real)
    d_fake = D(fake)
    loss_d = bce(d_real, real_label) + bce(d_fake, fake_label)
    loss_g = bce(d_fake, real_label)

    opt_d.zero_grad()
    loss_d.backward(retain_graph=True)
    opt_d.step()  # <-- cause

    opt_g.zero_grad()
    loss_g.backward()
    opt_g.step()
    print(it, loss_d.item(), loss_g.item())
