# bug: grad-of-plain-input
import torch
import torch.nn as nn

torch.manual_seed(0)
net = nn.Sequential(nn.Linear(1, 16), nn.Tanh(), nn.Linear(16, 1))
opt = torch.optim.Adam(net.parameters(), lr=0.01)


def residual(t):
    """u' = -u, for a physics-informed network."""
    u = net(t)
    du = torch.autograd.grad(u.sum(), t, create_graph=True)[0]  # <-- cause
    return du + u


t = torch.linspace(0, 2, 20).unsqueeze(1)  # <-- cause
for step in range(5):
    loss = residual(t).pow(2).mean() + (net(torch.zeros(1, 1)) - 1).pow(2).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(step, loss.item())
