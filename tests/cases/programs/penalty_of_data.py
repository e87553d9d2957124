# bug: detached|data-attribute
import torch
import torch.nn as nn

torch.manual_seed(0)
net = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 1))
opt = torch.optim.SGD(net.parameters(), lr=0.01)
x, y = torch.randn(12, 8), torch.randn(12, 1)


def l1_norm(module):
    return sum(p.data.abs().sum() for p in module.parameters())  # <-- cause


for epoch in range(4):
    loss = nn.functional.mse_loss(net(x), y) + 0.01 * l1_norm(net)
    opt.zero_grad()
    loss.backward()
    if epoch < 3:
        opt.step()
    print(epoch, loss.item())
