# bug: late-flag
import torch

xs = torch.tensor([1.0, 2.0, 3.0])
ys = torch.tensor([2.0, 4.0, 6.0])
slope = torch.tensor(0.5)


def loss_of(slope):
    return ((slope * xs - ys) ** 2).mean()


for step in range(4):
    loss = loss_of(slope)
    slope.requires_grad = True  # <-- cause
    loss.backward()
    slope = (slope - 0.1 * slope.grad).detach()
    print(step, loss.item(), slope.item())
