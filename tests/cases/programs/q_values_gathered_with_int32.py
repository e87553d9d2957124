# bug: index-dtype
import random

import torch
import torch.nn as nn

random.seed(0)
torch.manual_seed(0)
q_net = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2))
optimizer = torch.optim.Adam(q_net.parameters(), lr=1e-3)
memory = [
    ([random.random() for _ in range(4)], random.randrange(2), random.random()) for _ in range(32)
]

for step in range(3):
    batch = random.sample(memory, 8)
    states = torch.tensor([b[0] for b in batch])
    actions = torch.Tensor([b[1] for b in batch]).unsqueeze(1)  # <-- cause
    rewards = torch.tensor([b[2] for b in batch])
    q = q_net(states).gather(1, actions).squeeze(1)
    loss = nn.functional.smooth_l1_loss(q, rewards)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(step, loss.item())
