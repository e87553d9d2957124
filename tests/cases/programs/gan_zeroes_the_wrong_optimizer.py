# bug: accumulate
import torch
import torch.nn as nn

torch.manual_seed(0)
nz = 3
G = nn.Sequential(nn.Linear(nz, 12), nn.ReLU(), nn.Linear(12, 2))
D = nn.Sequential(nn.Linear(2, 12), nn.LeakyReLU(), nn.Linear(12, 1))
optG = torch.optim.SGD(G.parameters(), lr=0.01)
optD = torch.optim.SGD(D.parameters(), lr=0.01)
criterion = nn.BCEWithLogitsLoss()
ones, zeros = torch.ones(6, 1), torch.zeros(6, 1)

for it in range(4):
    real = torch.randn(6, 2) + 3
    # train the discriminator
    optD.zero_grad()
    fake = G(torch.randn(6, nz))
    errD = criterion(D(real), ones) + criterion(D(fake.detach()), zeros)
    errD.backward()
    optD.step()
    # train the generator
    optD.zero_grad()
    errG = criterion(D(fake), ones)
    errG.backward()  # <-- cause
    optG.step()  # <-- cause
    print(it, errD.item(), errG.item())
