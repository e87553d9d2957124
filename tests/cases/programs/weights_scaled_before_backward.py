# bug: data-attribute
import torch
import torch.nn as nn

torch.manual_seed(0)
fc1 = nn.Linear(3, 5)
fc2 = nn.Linear(5, 1)
params = [*fc1.parameters(), *fc2.parameters()]
opt = torch.optim.SGD(params, lr=0.05)
x = torch.randn(10, 3)
y = torch.randn(10, 1)

for epoch in range(4):
    loss = nn.functional.mse_loss(fc2(torch.tanh(fc1(x))), y)
    g_right = torch.autograd.grad(loss, fc1.weight, retain_graph=True)[0]
    # weight normalisation: unit norm
    fc2.weight.data.div_(fc2.weight.data.norm())  # <-- cause
    opt.zero_grad()
    loss.backward()
    g_wrong = fc1.weight.grad.clone()
    if epoch < 3:
        opt.step()
    fc2.weight.data.mul_(2)
    print(epoch, loss.item())
