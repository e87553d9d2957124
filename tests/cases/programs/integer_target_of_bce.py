# bug: bce-dtype
import torch
import torch.nn as nn

torch.manual_seed(0)
X = torch.randn(16, 3)
y = (X[:, 0] + X[:, 1] > 0).long()  # <-- cause


class Logistic(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.linear = nn.Linear(d, 1)

    def forward(self, x):
        return torch.sigmoid(self.linear(x)).squeeze(1)


model = Logistic(3)
criterion = nn.BCELoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
for epoch in range(4):
    loss = criterion(model(X), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(epoch, loss.item())
