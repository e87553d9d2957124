# bug: double-softmax
import torch
import torch.nn as nn

torch.manual_seed(0)
X = torch.cat([torch.randn(15, 2) + torch.tensor(c) for c in ([0.0, 3.0], [3.0, 0.0], [-3.0, -3.0])])
y = torch.arange(3).repeat_interleave(15)

model = nn.Sequential(
    nn.Linear(2, 16),
    nn.ReLU(),
    nn.Linear(16, 3),
    nn.Softmax(dim=1),  # <-- cause
)
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)

for epoch in range(20):
    optimizer.zero_grad()
    probs = model(X)  # <-- cause
    loss = criterion(probs, y)  # <-- cause
    loss.backward()
    optimizer.step()
print("loss", loss.item(), "accuracy", (probs.argmax(1) == y).float().mean().item())
