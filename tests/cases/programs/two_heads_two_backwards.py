# bug: shared-graph
import torch
import torch.nn as nn
import torch.optim as optim


class MultiTask(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, 16), nn.Tanh())
        self.cls = nn.Linear(16, 3)
        self.reg = nn.Linear(16, 1)

    def forward(self, x):
        z = self.trunk(x)
        return self.cls(z), self.reg(z)


torch.manual_seed(0)
model = MultiTask()
optimizer = optim.Adam(model.parameters())
X = torch.randn(32, 5)
labels = torch.randint(3, (32,))
values = X.mean(1, keepdim=True)

for epoch in range(3):
    optimizer.zero_grad()
    logits, y = model(X)
    loss_cls = nn.functional.cross_entropy(logits, labels)
    loss_reg = nn.functional.mse_loss(y, values)
    loss_cls.backward()  # <-- cause
    loss_reg.backward()
    optimizer.step()
    print(epoch, loss_cls.item(), loss_reg.item())
