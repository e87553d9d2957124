# bug: grad-none
import torch

torch.manual_seed(0)
a = torch.randn(3, 3, requires_grad=True)
target = torch.eye(3)
for step in range(5):
    a.grad.zero_()  # <-- cause
    loss = (a @ a.T - target).pow(2).sum()
    loss.backward()
    with torch.no_grad():
        a -= 0.05 * a.grad
    print(step, loss.item())
