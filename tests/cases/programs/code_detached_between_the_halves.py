# bug: detached
import torch
import torch.nn as nn

torch.manual_seed(0)


class AutoEncoder(nn.Module):
    def __init__(self, enc, dec):
        super().__init__()
        self.enc, self.dec = enc, dec

    def forward(self, x):
        z = self.enc(x)
        return self.dec(z.detach()), z  # <-- cause


enc = nn.Sequential(nn.Linear(12, 6), nn.ReLU(), nn.Linear(6, 2))
dec = nn.Sequential(nn.Linear(2, 6), nn.ReLU(), nn.Linear(6, 12))
ae = AutoEncoder(enc, dec)
opt = torch.optim.Adam(ae.parameters(), lr=0.01)
x = torch.rand(20, 12)
codes = []
for epoch in range(4):
    recon, z = ae(x)
    loss = nn.functional.mse_loss(recon, x)
    opt.zero_grad()
    loss.backward()
    opt.step()
    codes.append(z.tolist())
    print(epoch, loss.item())
