# bug: detached
import torch
import torch.nn as nn


class SelfAttention(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.query = nn.Linear(d, d)
        self.key = nn.Linear(d, d)
        self.value = nn.Linear(d, d)
        self.last = None

    def forward(self, x):
        q, k, v = self.query(x), self.key(x), self.value(x)
        a = torch.softmax(q @ k.mT / q.shape[-1] ** 0.5, dim=-1).detach()  # <-- cause
        self.last = a  # kept for the plot
        return a @ v


torch.manual_seed(0)
att = SelfAttention(6)
out = nn.Linear(6, 1)
opt = torch.optim.SGD([*att.parameters(), *out.parameters()], lr=0.1)
x = torch.randn(8, 5, 6)
y = x.amax((1, 2)).unsqueeze(1)
for i in range(4):
    opt.zero_grad()
    loss = nn.functional.mse_loss(out(att(x).mean(1)), y)
    loss.backward()
    opt.step()
    print(i, loss.item())
