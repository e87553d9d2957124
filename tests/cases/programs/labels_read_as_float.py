# bug: class-target
import csv
import io

import torch
import torch.nn as nn

TABLE = """5.1,3.5,0
4.9,3.0,0
6.2,2.9,1
5.9,3.2,1
6.3,3.3,2
7.1,3.0,2
"""

rows = [[float(v) for v in row] for row in csv.reader(io.StringIO(TABLE))]
data = torch.tensor(rows)  # <-- cause
features = data[:, :2]
labels = data[:, 2]  # <-- cause

torch.manual_seed(0)
model = nn.Linear(2, 3)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
criterion = nn.CrossEntropyLoss()
for epoch in range(3):
    loss = criterion(model(features), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(epoch, loss.item())
