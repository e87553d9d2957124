# bug: custom-function
import torch


class MyLinear(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight, bias):
        ctx.save_for_backward(x, weight)
        return x @ weight.t() + bias

    @staticmethod
    def backward(ctx, grad_output):
        x, weight = ctx.saved_tensors
        grad_x = grad_output @ weight
        grad_weight = grad_output.t() @ x
        return grad_x, grad_weight  # <-- cause


torch.manual_seed(0)
x = torch.randn(10, 3)
y = torch.randn(10, 2)
w = torch.randn(2, 3, requires_grad=True)
b = torch.zeros(2, requires_grad=True)
for i in range(5):
    loss = (MyLinear.apply(x, w, b) - y).pow(2).mean()
    loss.backward()
    with torch.no_grad():
        for p in (w, b):
            p -= 0.1 * p.grad
            p.grad.zero_()
    print(i, loss.item())
