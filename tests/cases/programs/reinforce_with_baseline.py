# right
import torch
import torch.nn as nn
from torch.distributions import Categorical

torch.manual_seed(0)
actor = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 3))
critic = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 1))
opt_a = torch.optim.Adam(actor.parameters(), lr=0.01)
opt_c = torch.optim.Adam(critic.parameters(), lr=0.01)

for episode in range(5):
    log_probs, values, rewards = [], [], []
    s = torch.zeros(2)
    for t in range(8):
        dist = Categorical(logits=actor(s))
        a = dist.sample()
        log_probs.append(dist.log_prob(a))
        values.append(critic(s))
        s = s + 0.1 * (a.float() - 1)
        rewards.append(-abs(s[0].item() - 0.5))
    returns, R = [], 0.0
    for r in reversed(rewards):
        R = r + 0.9 * R
        returns.append(R)
    returns = torch.tensor(returns[::-1])
    values = torch.cat(values)
    advantage = returns - values.detach()
    loss_a = -(torch.stack(log_probs) * advantage).sum()
    loss_c = nn.functional.mse_loss(values, returns)
    opt_a.zero_grad()
    loss_a.backward()
    opt_a.step()
    opt_c.zero_grad()
    loss_c.backward()
    opt_c.step()
    print(episode, sum(rewards))
