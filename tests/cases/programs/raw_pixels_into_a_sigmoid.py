# bug: saturation
import torch
import torch.nn as nn

torch.manual_seed(0)
pixels = torch.randint(100, 256, (20, 16)).float()
targets = torch.rand(20, 1)
net = nn.Sequential(nn.Linear(16, 10), nn.Sigmoid(), nn.Linear(10, 1))
nn.init.normal_(net[0].weight, mean=0.5, std=0.1)  # <-- cause
opt = torch.optim.SGD(net.parameters(), lr=0.01)
for epoch in range(5):
    out = net(pixels)  # <-- cause
    loss = nn.functional.mse_loss(out, targets)
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(epoch, loss.item())
