# right
import torch

torch.manual_seed(0)
N, D_in, H, D_out = 16, 10, 8, 2
x = torch.randn(N, D_in)
y = torch.randn(N, D_out)
w1 = torch.randn(D_in, H).mul_(0.1).requires_grad_()
w2 = torch.randn(H, D_out).mul_(0.1).requires_grad_()
learning_rate = 1e-3

for t in range(20):
    y_pred = x.mm(w1).clamp(min=0).mm(w2)
    loss = (y_pred - y).pow(2).sum()
    if t % 5 == 0:
        print(t, loss.data.item())
    loss.backward()
    w1.data -= learning_rate * w1.grad.data
    w2.data -= learning_rate * w2.grad.data
    w1.grad.data.zero_()
    w2.grad.data.zero_()
