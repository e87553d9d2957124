# bug: tensor-copy
import torch
import torch.nn as nn
from torch.distributions import Categorical


class Policy(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(3, 16), nn.Tanh(), nn.Linear(16, 2))
        self.log_probs = []
        self.rewards = []

    def act(self, state):
        dist = Categorical(logits=self.net(state))
        action = dist.sample()
        self.log_probs.append(dist.log_prob(action))
        return action.item()


def finish(policy, optimizer, gamma=0.9):
    R, returns = 0.0, []
    for r in reversed(policy.rewards):
        R = r + gamma * R
        returns.insert(0, R)
    returns = torch.tensor(returns)
    returns = returns - returns.mean()
    log_probs = torch.tensor(policy.log_probs)  # <-- cause
    loss = -(log_probs * returns).sum()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    policy.log_probs.clear()
    policy.rewards.clear()


torch.manual_seed(0)
policy = Policy()
optimizer = torch.optim.Adam(policy.parameters(), lr=0.01)
for episode in range(3):
    state = torch.zeros(3)
    for t in range(5):
        a = policy.act(state)
        policy.rewards.append(1.0 if a == 1 else 0.0)
        state = state + 0.1 * (a - 0.5)
    finish(policy, optimizer)
