# bug: not-differentiable
import torch
import torch.nn as nn

torch.manual_seed(0)
encoder = nn.Sequential(nn.Linear(6, 3), nn.Sigmoid())
decoder = nn.Linear(3, 6)
opt = torch.optim.SGD(encoder.parameters(), lr=0.1)
pixels = torch.rand(16, 6)
target_code = torch.randint(0, 256, (16, 3))

for i in range(3):
    code = (encoder(pixels) * 255).long()  # <-- cause
    loss = ((code - target_code).float() / 255).pow(2).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(i, loss.item())
