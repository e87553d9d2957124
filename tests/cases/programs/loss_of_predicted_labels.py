# bug: not-differentiable
import torch
import torch.nn as nn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(5, 10), nn.ReLU(), nn.Linear(10, 4))
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
criterion = nn.MSELoss()

x = torch.randn(20, 5)
labels = torch.randint(0, 4, (20,))

for epoch in range(5):
    scores = model(x)
    predicted = torch.argmax(scores, dim=1)  # <-- cause
    loss = criterion(predicted.float(), labels.float())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(epoch, loss.item())
