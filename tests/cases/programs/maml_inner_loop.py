# right
import torch
import torch.nn.functional as F

torch.manual_seed(0)


def forward(params, x):
    w1, b1, w2, b2 = params
    return torch.tanh(x @ w1 + b1) @ w2 + b2


meta = [
    (torch.randn(1, 10) * 0.5).requires_grad_(),
    torch.zeros(10, requires_grad=True),
    (torch.randn(10, 1) * 0.3).requires_grad_(),
    torch.zeros(1, requires_grad=True),
]
meta_opt = torch.optim.Adam(meta, lr=0.01)
for iteration in range(4):
    meta_opt.zero_grad()
    meta_loss = 0.0
    for task in range(3):
        amplitude = 1.0 + task
        xs, xq = torch.rand(8, 1) * 4 - 2, torch.rand(8, 1) * 4 - 2
        fast = meta
        for _ in range(2):
            inner = F.mse_loss(forward(fast, xs), amplitude * torch.sin(xs))
            grads = torch.autograd.grad(inner, fast, create_graph=True)
            fast = [p - 0.1 * g for p, g in zip(fast, grads)]
        meta_loss = meta_loss + F.mse_loss(forward(fast, xq), amplitude * torch.sin(xq))
    meta_loss.backward()
    meta_opt.step()
    print(iteration, meta_loss.item())
