# right
import copy

import torch
import torch.nn as nn

torch.manual_seed(0)
x = torch.rand(60, 1) * 6 - 3
y = torch.sin(x) + 0.1 * torch.randn_like(x)
x_train, y_train, x_val, y_val = x[:40], y[:40], x[40:], y[40:]
model = nn.Sequential(nn.Linear(1, 16), nn.Tanh(), nn.Dropout(0.1), nn.Linear(16, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
best, best_loss, patience, wait = None, float("inf"), 3, 0

for epoch in range(30):
    model.train()
    loss = nn.functional.mse_loss(model(x_train), y_train)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

    model.eval()
    with torch.no_grad():
        val = nn.functional.mse_loss(model(x_val), y_val).item()
    if val < best_loss:
        best, best_loss, wait = copy.deepcopy(model.state_dict()), val, 0
    else:
        wait += 1
        if wait == patience:
            print("stopped at", epoch)
            break
model.load_state_dict(best)
model.eval()
predictions = model(x_val).detach().numpy()
print("best", best_loss, predictions.shape)
