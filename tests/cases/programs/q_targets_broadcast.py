# bug: broadcast
import torch
import torch.nn as nn

torch.manual_seed(0)
GAMMA = 0.9
q_net = nn.Linear(3, 2)
target_net = nn.Linear(3, 2)
target_net.load_state_dict(q_net.state_dict())
optimizer = torch.optim.SGD(q_net.parameters(), lr=0.05)

states = torch.randn(16, 3)
next_states = torch.randn(16, 3)
actions = torch.randint(0, 2, (16, 1))
rewards = torch.rand(16)

for step in range(5):
    q = q_net(states).gather(1, actions)
    with torch.no_grad():
        target = rewards + GAMMA * target_net(next_states).max(1).values
    td_error = q - target  # <-- cause
    loss = td_error.pow(2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(step, loss.item())
