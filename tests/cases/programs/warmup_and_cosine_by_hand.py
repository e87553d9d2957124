# right
import math

import torch
import torch.nn as nn

torch.manual_seed(0)
TOTAL, WARMUP, BASE = 20, 4, 0.05


def learning_rate(step):
    if step < WARMUP:
        return BASE * step / WARMUP  # zero at the first step
    return BASE * 0.5 * (1 + math.cos(math.pi * (step - WARMUP) / (TOTAL - WARMUP)))


model = nn.Linear(5, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=BASE, momentum=0.9, weight_decay=1e-4)
x = torch.randn(30, 5)
y = x @ torch.ones(5, 1) * 0.5
for step in range(TOTAL):
    for group in optimizer.param_groups:
        group["lr"] = learning_rate(step)
    loss = nn.functional.mse_loss(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 5 == 0:
        print(step, optimizer.param_groups[0]["lr"], loss.item())
