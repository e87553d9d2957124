# right
import torch
import torch.nn as nn
from torch.distributions import Categorical

torch.manual_seed(0)
actor = nn.Sequential(nn.Linear(3, 16), nn.Tanh(), nn.Linear(16, 2))
critic = nn.Sequential(nn.Linear(3, 16), nn.Tanh(), nn.Linear(16, 1))
opt = torch.optim.Adam([*actor.parameters(), *critic.parameters()], lr=3e-3)

for update in range(3):
    with torch.no_grad():
        obs = torch.randn(24, 3)
        dist = Categorical(logits=actor(obs))
        action = dist.sample()
        old_logp = dist.log_prob(action)
        value = critic(obs).squeeze(-1)
        ret = (action == (obs[:, 0] > 0)).float()
        adv = ret - value
        adv = (adv - adv.mean()) / (adv.std() + 1e-8)
    for _ in range(3):
        for idx in torch.randperm(24).split(8):
            dist = Categorical(logits=actor(obs[idx]))
            ratio = (dist.log_prob(action[idx]) - old_logp[idx]).exp()
            clipped = ratio.clamp(0.8, 1.2)
            pg = -torch.min(ratio * adv[idx], clipped * adv[idx]).mean()
            vf = (critic(obs[idx]).squeeze(-1) - ret[idx]).pow(2).mean()
            loss = pg + 0.5 * vf - 0.01 * dist.entropy().mean()
            opt.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(actor.parameters(), 0.5)
            opt.step()
    print(update, ret.mean().item(), loss.item())
