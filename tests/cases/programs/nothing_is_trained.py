# right
import torch
import torch.nn as nn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 3))
model.eval()
X = torch.randn(50, 4)
with torch.no_grad():
    probs = model(X).softmax(dim=1)
    labels = probs.argmax(dim=1)
counts = torch.bincount(labels, minlength=3)
print(counts.tolist(), probs.max().item())

# least squares in closed form, and the sensitivity of its residual to the data
A = torch.cat([X, torch.ones(50, 1)], dim=1)
y = X @ torch.tensor([1.0, 2.0, -1.0, 0.5]) + 0.1 * torch.randn(50)
w = torch.linalg.lstsq(A, y.unsqueeze(1)).solution
y.requires_grad_()
residual = ((A @ w).squeeze(1) - y).square().sum()
(g,) = torch.autograd.grad(residual, y)
# LAPACK's last digits depend on where memory lies, which differs from run to run
print(f"{residual.item():.4f} {g.norm().item():.4f}")
