# right
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.distributions import Normal, kl_divergence

torch.manual_seed(0)


class VAE(nn.Module):
    def __init__(self, d, z):
        super().__init__()
        self.fc1 = nn.Linear(d, 16)
        self.fc21 = nn.Linear(16, z)
        self.fc22 = nn.Linear(16, z)
        self.fc3 = nn.Linear(z, 16)
        self.fc4 = nn.Linear(16, d)

    def forward(self, x):
        h = F.relu(self.fc1(x))
        q = Normal(self.fc21(h), F.softplus(self.fc22(h)) + 1e-4)
        z = q.rsample()
        return torch.sigmoid(self.fc4(F.relu(self.fc3(z)))), q


model = VAE(12, 2)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
prior = Normal(0.0, 1.0)
data = torch.bernoulli(torch.rand(40, 12))
for epoch in range(3):
    model.train()
    for batch in data.split(10):
        optimizer.zero_grad()
        recon, q = model(batch)
        bce = F.binary_cross_entropy(recon, batch, reduction="sum")
        loss = bce + kl_divergence(q, prior).sum()
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        sample = torch.sigmoid(model.fc4(F.relu(model.fc3(torch.randn(3, 2)))))
    print(epoch, loss.item() / 10, sample.mean().item())
