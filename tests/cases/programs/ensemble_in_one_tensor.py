# right
import torch

torch.manual_seed(0)
M, N = 5, 40
x = torch.linspace(-2, 2, N).unsqueeze(1)
y = torch.sin(2 * x)
W1 = torch.randn(M, 1, 16).requires_grad_()
b1 = torch.randn(M, 1, 16).requires_grad_()
W2 = (torch.randn(M, 16, 1) / 4).requires_grad_()
opt = torch.optim.Adam([W1, b1, W2], lr=0.02)
for epoch in range(10):
    pred = torch.tanh(x @ W1 + b1) @ W2  # [M, N, 1]
    loss = ((pred - y) ** 2).mean()  # every member against the same targets
    opt.zero_grad()
    loss.backward()
    opt.step()
mean, std = pred.mean(0), pred.std(0)
print(loss.item(), (mean - y).abs().mean().item(), std.mean().item())
