# bug: int-dtype
import torch

heights = torch.tensor([150, 160, 170, 180], dtype=torch.float32)
weights = torch.tensor([50, 58, 66, 75], dtype=torch.float32)
k = torch.tensor([0], requires_grad=True)  # <-- cause
d = torch.tensor([0], requires_grad=True)
for i in range(10):
    loss = ((k * heights / 100 + d - weights) ** 2).mean()
    loss.backward()
    with torch.no_grad():
        k -= 0.01 * k.grad
        d -= 0.01 * d.grad
    k.grad.zero_()
    d.grad.zero_()
    print(loss.item())
