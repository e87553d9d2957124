# bug: step-before-backward
import torch
import torch.nn as nn
import torch.nn.functional as F


class ActorCritic(nn.Module):
    def __init__(self, n_obs, n_act):
        super().__init__()
        self.body = nn.Linear(n_obs, 16)
        self.mid = nn.Linear(16, 16)
        self.pi = nn.Linear(16, n_act)
        self.v = nn.Linear(16, 1)

    def forward(self, s):
        h = torch.tanh(self.mid(torch.tanh(self.body(s))))
        return F.log_softmax(self.pi(h), dim=-1), self.v(h).squeeze(-1)


torch.manual_seed(0)
agent = ActorCritic(4, 2)
optimizer = torch.optim.SGD(agent.parameters(), lr=0.01)

for episode in range(3):
    states = torch.randn(10, 4)
    returns = torch.linspace(1, 0, 10)
    logp, values = agent(states)
    actions = torch.multinomial(logp.exp(), 1).squeeze(1)
    advantage = returns - values.detach()
    policy_loss = -(logp[torch.arange(10), actions] * advantage).mean()
    value_loss = F.mse_loss(values, returns)

    optimizer.zero_grad()
    value_loss.backward(retain_graph=True)
    optimizer.step()  # <-- cause

    optimizer.zero_grad()
    policy_loss.backward()
    optimizer.step()
    print(episode, policy_loss.item(), value_loss.item())
