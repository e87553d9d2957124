# bug: backward-twice
import torch
import torch.nn as nn

torch.manual_seed(0)
x = torch.randn(20, 6)
y = torch.randn(20, 1)

embed = nn.Linear(6, 10)
head = nn.Linear(10, 1)
opt = torch.optim.SGD(list(embed.parameters()) + list(head.parameters()), lr=0.1)

# precompute the features once, it is faster
features = torch.tanh(embed(x))  # <-- cause

for epoch in range(10):
    pred = head(features)
    loss = nn.functional.mse_loss(pred, y)
    opt.zero_grad()
    loss.backward()  # <-- cause
    opt.step()
    print("epoch", epoch, "loss", loss.item())
