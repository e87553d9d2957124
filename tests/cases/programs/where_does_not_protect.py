# bug: nan-where|anomaly
import torch

x = torch.tensor([-1.0, 0.0, 0.5, 2.0, 4.0])
y = torch.tensor([0.0, 0.0, 0.7, 1.4, 2.0])
a = torch.tensor(0.5, requires_grad=True)
opt = torch.optim.SGD([a], lr=0.1)


def safe_power(x, a):
    # x ** a only where x is positive
    return torch.where(x > 0, torch.exp(a * torch.log(x)), torch.zeros_like(x))  # <-- cause


for i in range(3):
    loss = torch.mean((safe_power(x, a) - y) ** 2)
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(i, loss.item(), a.item())
