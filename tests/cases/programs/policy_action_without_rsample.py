# bug: sampled
import torch
import torch.nn as nn
from torch.distributions import Normal

torch.manual_seed(0)
critic = nn.Sequential(nn.Linear(3, 16), nn.ReLU(), nn.Linear(16, 1))
for p in critic.parameters():
    p.requires_grad_(False)

actor = nn.Linear(2, 2)
actor_opt = torch.optim.Adam(actor.parameters(), lr=3e-3)


def act(state):
    mean, log_std = actor(state).chunk(2, dim=-1)
    return torch.tanh(Normal(mean, log_std.exp()).sample())  # <-- cause


for step in range(3):
    state = torch.randn(16, 2)
    action = act(state)
    q = critic(torch.cat([state, action], dim=-1))
    actor_loss = -q.mean()
    actor_opt.zero_grad()
    actor_loss.backward()
    actor_opt.step()
    print(step, actor_loss.item())
