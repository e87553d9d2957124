# bug: zeroed-before-step|never-updated
import torch
import torch.nn as nn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(2, 6), nn.Sigmoid(), nn.Linear(6, 1))
start = model[0].weight.detach().clone()
xor_x = torch.tensor([[0.0, 0], [0, 1], [1, 0], [1, 1]])
xor_y = torch.tensor([[0.0], [1], [1], [0]])
loss_fn = nn.BCEWithLogitsLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.5)

for epoch in range(10):
    loss = loss_fn(model(xor_x), xor_y)
    loss.backward()
    optimizer.zero_grad()  # <-- cause
    optimizer.step()
print("after training:", loss_fn(model(xor_x), xor_y).item())
