# bug: moving-target
import torch
import torch.nn as nn

torch.manual_seed(0)
online = nn.Linear(6, 4)
predictor = nn.Linear(4, 4)
teacher = nn.Linear(6, 4)
params = [p for m in (online, predictor, teacher) for p in m.parameters()]
opt = torch.optim.Adam(params, lr=0.05)
x = torch.randn(40, 6)

for step in range(60):
    view1 = x + 0.1 * torch.randn_like(x)
    view2 = x + 0.1 * torch.randn_like(x)
    target = teacher(view2)  # <-- cause
    loss = nn.functional.mse_loss(predictor(online(view1)), target)  # <-- cause
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 20 == 0:
        print(step, loss.item())
