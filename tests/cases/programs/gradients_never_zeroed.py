# bug: accumulate
import torch
import torch.nn as nn

torch.manual_seed(0)
X = torch.rand(50, 2)
Y = X @ torch.tensor([[3.0], [-1.0]]) + 2

model = nn.Linear(2, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
loss_fn = nn.MSELoss()
before = torch.zeros(1, 2)
for epoch in range(8):
    loss = loss_fn(model(X), Y)
    if epoch == 7:
        before = model.weight.grad.clone()
        last = torch.autograd.grad(loss, model.weight, retain_graph=True)[0]
    loss.backward()  # <-- cause
    optimizer.step()  # <-- cause
    print(f"epoch {epoch}: {loss.item():.4f}")
