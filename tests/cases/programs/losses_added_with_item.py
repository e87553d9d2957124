# bug: item-breaks
import torch
import torch.nn as nn

torch.manual_seed(0)
model = nn.Linear(4, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
loss_fn = nn.L1Loss()
batches = [(torch.randn(8, 4), torch.randn(8, 1)) for _ in range(5)]

for epoch in range(2):
    total = 0.0
    for x, y in batches:
        loss = loss_fn(model(x), y)
        total += loss.item()  # <-- cause
    optimizer.zero_grad()
    total.backward()
    optimizer.step()
    print("epoch", epoch, total)
