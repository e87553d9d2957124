# right
import torch
import torch.nn as nn

torch.manual_seed(0)
net = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 2))
opt = torch.optim.SGD(net.parameters(), lr=0.05)
triplet = nn.TripletMarginLoss(margin=0.5)
a = torch.randn(20, 2) + torch.tensor([4.0, 0.0])
p = torch.randn(20, 2) + torch.tensor([4.0, 0.0])
n = torch.randn(20, 2) - torch.tensor([4.0, 0.0])
active = []
for epoch in range(15):
    loss = triplet(net(a), net(p), net(n))
    opt.zero_grad()
    loss.backward()
    opt.step()
    active.append(loss.item() > 0)
print(active)
