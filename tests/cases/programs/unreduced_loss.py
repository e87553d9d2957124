# bug: non-scalar
import torch
import torch.nn as nn

torch.manual_seed(0)
net = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 3))
criterion = nn.CrossEntropyLoss(reduction="none")  # <-- cause
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
X = torch.randn(9, 2)
y = torch.tensor([0, 1, 2] * 3)
sample_weight = torch.linspace(0.5, 1.5, 9)

for epoch in range(3):
    optimizer.zero_grad()
    loss = criterion(net(X), y) * sample_weight  # <-- cause
    loss.backward()
    optimizer.step()
    print(epoch, loss)
