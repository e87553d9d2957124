# bug: function-shape
import torch
import torch.nn as nn


class ScaleFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, scale):
        ctx.save_for_backward(x, scale)
        return x * scale

    @staticmethod
    def backward(ctx, grad):
        x, scale = ctx.saved_tensors
        return grad * scale, (grad * x).mean(0, keepdim=True).T  # <-- cause


class Scale(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(d))

    def forward(self, x):
        return ScaleFunction.apply(x, self.scale)


torch.manual_seed(0)
net = nn.Sequential(nn.Linear(4, 6), Scale(6), nn.Linear(6, 1))
opt = torch.optim.SGD(net.parameters(), lr=0.1)
x = torch.randn(12, 4)
for step in range(3):
    loss = net(x).square().mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(step, loss.item())
