# bug: dead-relu|learning-rate
import torch
import torch.nn as nn
import torch.nn.functional as F


class HousePrices(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(2, 8)
        self.price = nn.Linear(8, 1)

    def forward(self, x):
        return self.price(F.relu(self.hidden(x)))  # <-- cause


torch.manual_seed(0)
x = torch.rand(20, 2) * 200 + 50
y = x[:, :1] * 3 - 100
net = HousePrices()
opt = torch.optim.SGD(net.parameters(), lr=0.1)  # <-- cause
for epoch in range(12):
    loss = F.l1_loss(net(x), y)
    opt.zero_grad()
    loss.backward()
    opt.step()  # <-- cause
    print(epoch, loss.item())
