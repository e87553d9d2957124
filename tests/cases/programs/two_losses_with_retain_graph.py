# right
import torch
import torch.nn as nn

torch.manual_seed(0)
trunk = nn.Sequential(nn.Linear(6, 12), nn.Tanh())
head_a, head_b = nn.Linear(12, 1), nn.Linear(12, 3)
params = [p for m in (trunk, head_a, head_b) for p in m.parameters()]
opt = torch.optim.SGD(params, lr=0.05)
x = torch.randn(20, 6)
ya, yb = x.sum(1, keepdim=True), torch.arange(20) % 3

for step in range(5):
    z = trunk(x)
    loss_a = nn.functional.mse_loss(head_a(z), ya)
    loss_b = nn.functional.cross_entropy(head_b(z), yb)
    opt.zero_grad()
    loss_a.backward(retain_graph=True)
    norm_a = trunk[0].weight.grad.norm().item()
    loss_b.backward()
    opt.step()
    print(step, loss_a.item(), loss_b.item(), norm_a)
