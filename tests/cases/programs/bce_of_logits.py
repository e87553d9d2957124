# bug: bce-range
import torch
import torch.nn as nn

torch.manual_seed(0)
discriminator = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 1))
optimizer = torch.optim.Adam(discriminator.parameters(), lr=0.01)
loss_fn = nn.BCELoss()
real = torch.randn(10, 2) + 2
fake = torch.randn(10, 2) - 2
samples = torch.cat([real, fake])
targets = torch.cat([torch.ones(10, 1), torch.zeros(10, 1)])

for step in range(3):
    scores = discriminator(samples)  # <-- cause
    loss = loss_fn(scores, targets)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(step, loss.item())
