# right
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)
X = torch.randn(90, 4)
y = (X[:, 0] + X[:, 1] > 0).long() + (X[:, 2] > 1).long()
model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 3))
optimizer = torch.optim.SGD(model.parameters(), lr=0.3)
history = {"loss": [], "acc": []}

for epoch in range(10):
    logits = model(X)
    loss = F.cross_entropy(logits, y)
    probs = F.softmax(logits, dim=1)
    pred = probs.argmax(dim=1)
    correct = (pred == y).type(torch.float).sum().item()
    confidence = probs.max(dim=1).values.detach().numpy().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    history["loss"].append(loss.item())
    history["acc"].append(correct / len(y))
print(history["loss"][-1], history["acc"][-1], confidence)
