# right
import torch
import torch.nn as nn

torch.manual_seed(0)


class SGDMomentum:
    def __init__(self, params, lr, beta):
        self.params = list(params)
        self.lr, self.beta = lr, beta
        self.buffers = [torch.zeros_like(p) for p in self.params]

    def zero_grad(self):
        for p in self.params:
            p.grad = None

    @torch.no_grad()
    def step(self):
        for p, v in zip(self.params, self.buffers):
            v.mul_(self.beta).add_(p.grad)
            p.add_(v, alpha=-self.lr)


model = nn.Sequential(nn.Linear(2, 10), nn.Softplus(), nn.Linear(10, 1))
optimizer = SGDMomentum(model.parameters(), lr=0.02, beta=0.9)
x = torch.rand(40, 2)
y = (x[:, :1] - x[:, 1:]).cos()
for epoch in range(10):
    loss = nn.functional.huber_loss(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if epoch % 3 == 0:
        print(epoch, loss.item())
