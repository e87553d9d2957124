# bug: inplace-saved
import torch
from torch import nn, optim


class Block(nn.Module):
    """A residual block of two linear layers."""

    def __init__(self, width):
        super().__init__()
        self.fc1 = nn.Linear(width, width)
        self.fc2 = nn.Linear(width, width)
        self.act = nn.Sigmoid()

    def forward(self, x):
        h = self.act(self.fc1(x))
        h += x  # <-- cause
        return self.fc2(h)


torch.manual_seed(3)
model = nn.Sequential(nn.Linear(4, 8), Block(8), Block(8), nn.Linear(8, 1))
optimizer = optim.SGD(model.parameters(), lr=0.05)
criterion = nn.MSELoss()

X = torch.rand(16, 4)
Y = X.sum(dim=1, keepdim=True)

for epoch in range(5):
    optimizer.zero_grad()
    prediction = model(X)
    loss = criterion(prediction, Y)
    loss.backward()
    optimizer.step()
    print(f"epoch {epoch} loss {loss.item():.4f}")
