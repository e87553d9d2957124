# right
import torch
import torch.nn as nn

torch.manual_seed(0)
nz, n = 4, 8
netG = nn.Sequential(nn.Linear(nz, 16), nn.ReLU(True), nn.Linear(16, 2))
netD = nn.Sequential(nn.Linear(2, 16), nn.LeakyReLU(0.2, inplace=True), nn.Linear(16, 1), nn.Sigmoid())
criterion = nn.BCELoss()
optimizerD = torch.optim.Adam(netD.parameters(), lr=2e-3, betas=(0.5, 0.999))
optimizerG = torch.optim.Adam(netG.parameters(), lr=2e-3, betas=(0.5, 0.999))
fixed_noise = torch.randn(5, nz)

for i in range(5):
    netD.zero_grad()
    real = torch.randn(n, 2) * 0.3 + 1
    label = torch.full((n,), 1.0)
    errD_real = criterion(netD(real).view(-1), label)
    errD_real.backward()

    fake = netG(torch.randn(n, nz))
    label.fill_(0.0)
    output = netD(fake.detach()).view(-1)
    errD_fake = criterion(output, label)
    errD_fake.backward()
    D_G_z1 = output.mean().item()
    optimizerD.step()

    netG.zero_grad()
    label.fill_(1.0)
    output = netD(fake).view(-1)
    errG = criterion(output, label)
    errG.backward()
    optimizerG.step()
    with torch.no_grad():
        samples = netG(fixed_noise).detach()
    print(i, (errD_real + errD_fake).item(), errG.item(), D_G_z1, samples.mean().item())
