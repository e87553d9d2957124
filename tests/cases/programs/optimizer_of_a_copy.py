# bug: not-in-optimizer|never-updated
import copy

import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(2, 8)
        self.fc2 = nn.Linear(8, 1)

    def forward(self, x):
        return self.fc2(F.relu(self.fc1(x)))


torch.manual_seed(0)
model = Net()
best = copy.deepcopy(model)
optimizer = torch.optim.Adam(best.parameters(), lr=0.01)  # <-- cause
start = model.fc1.weight.detach().clone()
x = torch.randn(20, 2)
y = x.sum(1, keepdim=True)
for epoch in range(5):
    model.zero_grad()
    loss = F.mse_loss(model(x), y)
    loss.backward()
    optimizer.step()
    print(epoch, loss.item())
