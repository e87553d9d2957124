# bug: class-range
import torch
import torch.nn as nn

torch.manual_seed(0)
words = ["setosa", "versicolor", "virginica"]
names = ["virginica", "setosa", "versicolor", "setosa", "virginica", "versicolor"]
lookup = {w: i for i, w in enumerate(words, start=1)}
target = torch.tensor([lookup[n] for n in names])  # <-- cause
x = torch.randn(len(names), 4)

model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, len(words)))
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for epoch in range(3):
    optimizer.zero_grad()
    output = model(x)
    loss = criterion(output, target)
    loss.backward()
    optimizer.step()
    print(epoch, loss.item())
