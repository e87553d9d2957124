# right
import random
from collections import deque

import torch
import torch.nn as nn
import torch.nn.functional as F

random.seed(0)
torch.manual_seed(0)


def make_net():
    return nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 2))


policy, target = make_net(), make_net()
target.load_state_dict(policy.state_dict())
target.eval()
optimizer = torch.optim.Adam(policy.parameters(), lr=1e-2)
memory = deque(maxlen=200)


def choose(state, eps):
    if random.random() < eps:
        return random.randrange(2)
    with torch.no_grad():
        return policy(state).argmax().item()


def optimise():
    s, a, r, s2 = zip(*random.sample(memory, 16))
    s, s2 = torch.stack(s), torch.stack(s2)
    a, r = torch.tensor(a), torch.tensor(r)
    q = policy(s).gather(1, a.unsqueeze(1)).squeeze(1)
    expected = r + 0.95 * target(s2).max(1)[0].detach()
    loss = F.smooth_l1_loss(q, expected)
    optimizer.zero_grad()
    loss.backward()
    for p in policy.parameters():
        p.grad.data.clamp_(-1, 1)
    optimizer.step()
    return loss.item()


state = torch.zeros(2)
for t in range(60):
    action = choose(state, 0.5)
    nxt = (state + torch.tensor([0.1, -0.1]) * (2 * action - 1)).clamp(-1, 1)
    memory.append((state, action, float(nxt[0]), nxt))
    state = nxt
    if len(memory) >= 16 and t % 8 == 0:
        print(t, optimise())
    if t % 20 == 0:
        target.load_state_dict(policy.state_dict())
