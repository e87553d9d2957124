# bug: no-grad-block
import torch
import torch.nn as nn


class Regressor(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(2, 10), nn.Tanh(), nn.Linear(10, 1))

    @torch.no_grad()  # <-- cause
    def predict(self, x):  # <-- cause
        return self.layers(x)


class Trainer:
    def __init__(self, model):
        self.model = model
        self.opt = torch.optim.SGD(model.parameters(), lr=0.1)

    def step(self, x, y):
        loss = nn.functional.mse_loss(self.model.predict(x), y)
        self.opt.zero_grad()
        loss.backward()
        self.opt.step()
        return loss.item()


torch.manual_seed(0)
x = torch.rand(32, 2)
y = x.prod(1, keepdim=True)
trainer = Trainer(Regressor())
for i in range(5):
    print(i, trainer.step(x, y))
