# bug: dead-relu
import torch
import torch.nn as nn

torch.manual_seed(0)
X = torch.rand(40, 3)
y = X.sum(1, keepdim=True)
model = nn.Sequential(nn.Linear(3, 12), nn.ReLU(), nn.Linear(12, 1))
nn.init.constant_(model[0].bias, -50.0)  # <-- cause

optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for epoch in range(10):
    pred = model(X)  # <-- cause
    loss = nn.functional.mse_loss(pred, y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(epoch, loss.item())
