# bug: not-in-optimizer
import torch
import torch.nn as nn

torch.manual_seed(0)
encoder = nn.Sequential(nn.Linear(8, 4), nn.Tanh())
decoder = nn.Linear(4, 8)
first = decoder.weight.detach().clone()
optimizer = torch.optim.Adam(encoder.parameters(), lr=0.01)  # <-- cause
mse = nn.MSELoss()
data = torch.rand(32, 8)


def epoch_loss():
    total = 0
    for batch in data.split(8):
        out = decoder(encoder(batch))
        loss = mse(out, batch)
        encoder.zero_grad()
        decoder.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item()
    return total / 4


for e in range(4):
    print(e, epoch_loss())
