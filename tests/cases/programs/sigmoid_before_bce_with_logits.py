# bug: sigmoid-twice
import torch
import torch.nn as nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(4, 8)
        self.fc2 = nn.Linear(8, 1)

    def forward(self, x):
        x = torch.relu(self.fc1(x))
        return torch.sigmoid(self.fc2(x))  # <-- cause


torch.manual_seed(0)
X = torch.randn(32, 4)
y = (X.sum(1, keepdim=True) > 0).float()
model = Net()
criterion = nn.BCEWithLogitsLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
for epoch in range(10):
    optimizer.zero_grad()
    loss = criterion(model(X), y)  # <-- cause
    loss.backward()
    optimizer.step()
    print(epoch, loss.item())
