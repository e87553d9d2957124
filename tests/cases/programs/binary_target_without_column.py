# bug: target-size
import torch
import torch.nn as nn

torch.manual_seed(0)
inputs = torch.rand(20, 5)
targets = (inputs.mean(dim=1) > 0.5).float()  # <-- cause

model = nn.Sequential()
model.append(nn.Linear(5, 10))
model.append(nn.ReLU())
model.append(nn.Linear(10, 1))

bce = nn.BCEWithLogitsLoss()
optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-3)

for epoch in range(3):
    logits = model(inputs)  # <-- cause
    loss = bce(logits, targets)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(loss.item())
