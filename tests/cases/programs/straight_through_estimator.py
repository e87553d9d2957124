# right
import torch
import torch.nn as nn


class VectorQuantizer(nn.Module):
    def __init__(self, n, d):
        super().__init__()
        self.codebook = nn.Embedding(n, d)

    def forward(self, z):
        distance = (z.unsqueeze(1) - self.codebook.weight.unsqueeze(0)).pow(2).sum(-1)
        index = distance.argmin(dim=1)
        q = self.codebook(index)
        loss = (q - z.detach()).pow(2).mean() + 0.25 * (q.detach() - z).pow(2).mean()
        return z + (q - z).detach(), loss, index


torch.manual_seed(0)
enc, vq, dec = nn.Linear(8, 3), VectorQuantizer(5, 3), nn.Linear(3, 8)
opt = torch.optim.Adam([*enc.parameters(), *vq.parameters(), *dec.parameters()], lr=0.01)
x = torch.randn(40, 8)
for step in range(5):
    q, vq_loss, index = vq(enc(x))
    loss = nn.functional.mse_loss(dec(q), x) + vq_loss
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(step, loss.item(), index.unique().numel())
