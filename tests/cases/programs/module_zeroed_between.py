# bug: zeroed-before-step|never-updated
import torch
import torch.nn as nn


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(2, 5, batch_first=True)
        self.fc = nn.Linear(5, 1)

    def forward(self, x):
        _, h = self.gru(x)
        return self.fc(h.squeeze(0)).squeeze(-1)


def optimise(model, loss, opt):
    loss.backward()
    model.zero_grad()  # <-- cause
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    opt.step()


torch.manual_seed(0)
model = Model()
w0 = model.fc.weight.detach().clone()
opt = torch.optim.RMSprop(model.parameters(), lr=0.01)
x = torch.randn(6, 7, 2)
y = x.sum((1, 2))
for i in range(3):
    loss = (model(x) - y).abs().mean()
    optimise(model, loss, opt)
    print(i, loss.item())
