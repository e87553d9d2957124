# bug: never-updated
import torch
import torch.nn as nn

torch.manual_seed(0)
model = nn.Linear(3, 1)
start = model.weight.detach().clone()
optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
x = torch.randn(20, 3)
y = x[:, :1] - x[:, 1:2]

for epoch in range(5):
    y_hat = model(x)
    loss = nn.functional.mse_loss(y_hat, y)
    optimizer.zero_grad()
    loss.backward()  # <-- cause
    optimizer.step  # <-- cause
    print(epoch, loss.item())
