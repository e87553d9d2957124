# bug: step-activation
import torch
import torch.nn as nn


class Sign(nn.Module):
    def forward(self, x):
        return torch.sign(x)  # <-- cause


torch.manual_seed(0)
net = nn.Sequential(nn.Linear(3, 10), Sign(), nn.Linear(10, 1))
optimizer = torch.optim.SGD(net.parameters(), lr=0.05)
x = torch.randn(25, 3)
y = torch.sign(x.sum(1, keepdim=True))
for epoch in range(8):
    prediction = net(x)
    loss = (1 - y * prediction).clamp(min=0).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(epoch, loss.item())
