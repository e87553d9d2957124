# right
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 2))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
X = torch.rand(30, 8)
Y = (X.sum(1) > 4).long()


def fgsm(x, y, epsilon=0.05):
    x = x.clone().detach().requires_grad_(True)
    loss = F.cross_entropy(model(x), y)
    model.zero_grad()
    loss.backward()
    return (x + epsilon * x.grad.sign()).clamp(0, 1).detach()


for epoch in range(4):
    x_adv = fgsm(X, Y)
    optimizer.zero_grad()
    loss = 0.5 * F.cross_entropy(model(X), Y) + 0.5 * F.cross_entropy(model(x_adv), Y)
    loss.backward()
    optimizer.step()
    with torch.no_grad():
        robust = (model(x_adv).argmax(1) == Y).float().mean().item()
    print(epoch, loss.item(), robust)
