# bug: no-grad-block
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 3))
opt = torch.optim.SGD(model.parameters(), lr=0.1)
x_train, y_train = torch.randn(60, 6), torch.randint(0, 3, (60,))
x_val, y_val = torch.randn(20, 6), torch.randint(0, 3, (20,))


def train_epoch():
    model.train()
    loss = F.cross_entropy(model(x_train), y_train)
    opt.zero_grad()
    loss.backward()
    opt.step()
    return loss.item()


def validate():
    model.eval()
    torch.set_grad_enabled(False)  # <-- cause
    logits = model(x_val)
    return (logits.argmax(dim=1) == y_val).float().mean().item()


for epoch in range(3):
    print(epoch, train_epoch(), validate())
