# bug: plain-list
import torch
import torch.nn as nn


class DeepNet(nn.Module):
    def __init__(self, n_in, width, depth, n_out):
        super().__init__()
        self.first = nn.Linear(n_in, width)
        self.hidden = [nn.Linear(width, width) for _ in range(depth)]  # <-- cause
        self.last = nn.Linear(width, n_out)

    def forward(self, x):
        x = torch.relu(self.first(x))
        for layer in self.hidden:
            x = torch.relu(layer(x))
        return self.last(x)


torch.manual_seed(0)
model = DeepNet(4, 10, 3, 2)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
X = torch.randn(30, 4)
y = (X.norm(dim=1) > 2).long()
for epoch in range(5):
    loss = nn.functional.cross_entropy(model(X), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(epoch, loss.item())
