# right
import torch
import torch.nn as nn

torch.manual_seed(0)
G = nn.Sequential(nn.Linear(2, 12), nn.ReLU(), nn.Linear(12, 2))
C = nn.Sequential(nn.Linear(2, 12), nn.ReLU(), nn.Linear(12, 1))
opt_g = torch.optim.RMSprop(G.parameters(), lr=5e-4)
opt_c = torch.optim.RMSprop(C.parameters(), lr=5e-4)
one, mone = torch.tensor(1.0), torch.tensor(-1.0)
for it in range(6):
    for p in C.parameters():
        p.data.clamp_(-0.01, 0.01)
    C.zero_grad()
    real = torch.randn(8, 2) + 1
    C(real).mean().backward(mone)
    fake = G(torch.randn(8, 2)).detach()
    C(fake).mean().backward(one)
    opt_c.step()
    if it % 3 == 2:
        for p in C.parameters():
            p.requires_grad_(False)
        G.zero_grad()
        err = C(G(torch.randn(8, 2))).mean()
        err.backward(mone)
        opt_g.step()
        for p in C.parameters():
            p.requires_grad_(True)
        print(it, err.item())
