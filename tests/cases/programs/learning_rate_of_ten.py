# bug: learning-rate|not-a-number
import torch
import torch.nn as nn

torch.manual_seed(0)
x = torch.linspace(-5, 5, 40).unsqueeze(1)
y = 0.5 * x**2
net = nn.Sequential(nn.Linear(1, 20), nn.ReLU(), nn.Linear(20, 1))
optimizer = torch.optim.SGD(net.parameters(), lr=10)  # <-- cause

for epoch in range(30):
    optimizer.zero_grad()
    loss = ((net(x) - y) ** 2).mean()
    loss.backward()
    optimizer.step()  # <-- cause
print("final loss", loss.item())
