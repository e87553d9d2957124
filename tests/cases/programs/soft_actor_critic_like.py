# right
import copy

import torch
import torch.nn as nn

torch.manual_seed(0)
actor = nn.Sequential(nn.Linear(3, 16), nn.ReLU(), nn.Linear(16, 1), nn.Tanh())
critic = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 1))
actor_target, critic_target = copy.deepcopy(actor), copy.deepcopy(critic)
actor_opt = torch.optim.Adam(actor.parameters(), lr=1e-3)
critic_opt = torch.optim.Adam(critic.parameters(), lr=1e-3)
TAU, GAMMA = 0.05, 0.9


def soft_update(target, source):
    for t, s in zip(target.parameters(), source.parameters()):
        t.data.copy_(TAU * s.data + (1 - TAU) * t.data)


for step in range(5):
    s, a = torch.randn(16, 3), torch.rand(16, 1) * 2 - 1
    r, s2 = -(s[:, :1] - a) ** 2, torch.randn(16, 3)
    with torch.no_grad():
        target = r + GAMMA * critic_target(torch.cat([s2, actor_target(s2)], 1))
    critic_loss = nn.functional.mse_loss(critic(torch.cat([s, a], 1)), target)
    critic_opt.zero_grad()
    critic_loss.backward()
    critic_opt.step()

    actor_loss = -critic(torch.cat([s, actor(s)], 1)).mean()
    actor_opt.zero_grad()
    actor_loss.backward()
    actor_opt.step()
    soft_update(actor_target, actor)
    soft_update(critic_target, critic)
    print(step, critic_loss.item(), actor_loss.item())
