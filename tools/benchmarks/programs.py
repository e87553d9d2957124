"""The plain programs that gradcli's commands are timed against: what one would write with PyTorch
alone.
"""

PASS = "pass"
TYPER = "import typer, rich.table"
MSE = """
import torch
import torch.nn.functional as F
x = torch.tensor(1.0, requires_grad=True)
w = torch.tensor(2.0, requires_grad=True)
loss = F.mse_loss(x * w, torch.ones(()))
print(loss.item(), *map(torch.Tensor.item, torch.autograd.grad(loss, [x, w])))
"""
JACREV = """
import torch
torch.manual_seed(0)
W, x = torch.randn({n}, {n}), torch.randn({n})
J = torch.func.jacrev(lambda x: torch.sigmoid(W @ x))(x)
print(J.shape, J.sum().item())
"""
SOFTMAX = """
import numpy as np
import torch
a = torch.from_numpy(np.load("logits.npy"))
p = torch.softmax(a, -1)
np.save("theirs.npy", (torch.diag(p) - torch.outer(p, p)).numpy())
"""
SIGMOID = """
import numpy as np
import torch
x = torch.from_numpy(np.load("big.npy")).requires_grad_()
y = torch.sigmoid(x)
(slope,) = torch.autograd.grad(y.sum(), [x])
np.savez("theirs.npz", value=y.detach().numpy(), derivative=slope.numpy())
"""
FILES = """
import numpy as np
random = np.random.default_rng(0)
np.save("logits.npy", random.standard_normal(4096, dtype=np.float32))
np.save("big.npy", random.standard_normal(10_000_000, dtype=np.float32))
"""
"""What the programs above read."""
