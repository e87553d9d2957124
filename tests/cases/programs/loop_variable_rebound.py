# bug: never-updated|reassigned-leaf
import torch

torch.manual_seed(0)


def init_params(sizes):
    params = []
    for n_in, n_out in zip(sizes[:-1], sizes[1:]):
        params.append((torch.randn(n_in, n_out) / n_in**0.5).requires_grad_())
        params.append(torch.zeros(n_out, requires_grad=True))
    return params


def forward(params, x):
    for w, b in zip(params[:-2:2], params[1:-2:2]):
        x = torch.relu(x @ w + b)
    return x @ params[-2] + params[-1]


params = init_params([2, 10, 1])
w0 = params[0].detach().clone()
x = torch.rand(30, 2)
y = (x**2).sum(1, keepdim=True)
for epoch in range(5):
    loss = ((forward(params, x) - y) ** 2).mean()
    grads = torch.autograd.grad(loss, params)
    for p, g in zip(params, grads):
        p = p - 0.1 * g  # <-- cause
    print(epoch, loss.item())
