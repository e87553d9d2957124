# bug: inplace-saved
import torch

torch.manual_seed(0)
T, B, I, H = 6, 4, 3, 5
x = torch.randn(B, T, I)
target = torch.randn(B, 1)

Wx = (0.3 * torch.randn(I, H)).requires_grad_()
Wh = (0.3 * torch.randn(H, H)).requires_grad_()
Wo = (0.3 * torch.randn(H, 1)).requires_grad_()
params = [Wx, Wh, Wo]

for epoch in range(3):
    # all hidden states of the sequence, filled from left to right
    hs = torch.zeros(B, T + 1, H)
    for t in range(T):
        hs[:, t + 1] = torch.tanh(x[:, t] @ Wx + hs[:, t] @ Wh)  # <-- cause
    out = hs[:, T] @ Wo
    loss = ((out - target) ** 2).mean()
    loss.backward()
    with torch.no_grad():
        for p in params:
            p -= 0.1 * p.grad
            p.grad = None
    print(epoch, loss.item())
