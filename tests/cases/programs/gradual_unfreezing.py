# right
import torch
import torch.nn as nn

torch.manual_seed(0)
body = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 12), nn.ReLU())
head = nn.Linear(12, 3)
body.requires_grad_(False)
opt = torch.optim.Adam(head.parameters(), lr=1e-2)
x, y = torch.randn(30, 6), torch.arange(30) % 3
for epoch in range(6):
    if epoch == 3:
        for p in body[2].parameters():
            p.requires_grad_(True)
        opt.add_param_group({"params": body[2].parameters(), "lr": 1e-3})
    loss = nn.functional.cross_entropy(head(body(x)), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(epoch, loss.item())
