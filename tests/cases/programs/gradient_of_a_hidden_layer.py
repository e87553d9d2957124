# bug: non-leaf-grad
import torch
import torch.nn as nn

torch.manual_seed(0)
layer1, layer2 = nn.Linear(3, 6), nn.Linear(6, 2)
opt = torch.optim.SGD([*layer1.parameters(), *layer2.parameters()], lr=0.1)
x, y = torch.randn(9, 3), torch.arange(9) % 2
norms = []
for epoch in range(3):
    h = torch.tanh(layer1(x))  # <-- cause
    loss = nn.functional.cross_entropy(layer2(h), y)
    opt.zero_grad()
    loss.backward()
    norms.append(h.grad.norm().item())  # <-- cause
    opt.step()
print(norms)
