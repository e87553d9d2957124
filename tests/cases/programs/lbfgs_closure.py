# right
import torch

torch.manual_seed(0)
x = torch.linspace(0.1, 5, 30)
y = 2.5 * torch.exp(-1.3 * x) + 0.5
params = torch.tensor([1.0, -1.0, 0.0], requires_grad=True)
optimizer = torch.optim.LBFGS([params], lr=1, max_iter=10, line_search_fn="strong_wolfe")


def model(p, x):
    return p[0] * torch.exp(p[1] * x) + p[2]


def closure():
    optimizer.zero_grad()
    loss = ((model(params, x) - y) ** 2).mean()
    loss.backward()
    return loss


for i in range(4):
    loss = optimizer.step(closure)
    print(i, loss.item(), params.tolist())
