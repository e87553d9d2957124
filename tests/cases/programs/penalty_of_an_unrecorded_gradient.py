# bug: second-derivative
import torch
import torch.nn as nn

torch.manual_seed(0)
critic = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 1))
optimizer = torch.optim.Adam(critic.parameters(), lr=1e-3)


def gradient_penalty(critic, real, fake):
    eps = torch.rand(real.size(0), 1)
    mixed = (eps * real + (1 - eps) * fake).requires_grad_(True)
    score = critic(mixed)
    grad = torch.autograd.grad(score.sum(), mixed)[0]  # <-- cause
    return ((grad.norm(dim=1) - 1) ** 2).mean()


for step in range(3):
    real, fake = torch.randn(8, 2) + 1, torch.randn(8, 2)
    penalty = gradient_penalty(critic, real, fake)
    optimizer.zero_grad()
    (10 * penalty).backward()
    wasserstein = critic(fake).mean() - critic(real).mean()
    wasserstein.backward()
    optimizer.step()
    print(step, wasserstein.item(), penalty.item())
