# bug: inference-mode|no-grad-block
import torch
from torch import nn

torch.manual_seed(0)
encoder = nn.Linear(10, 4)
decoder = nn.Linear(4, 10)
opt = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=0.01)
x = torch.rand(15, 10)


def autoencode(batch):
    with torch.inference_mode():  # <-- cause
        code = torch.relu(encoder(batch))
        return decoder(code)


for epoch in range(3):
    reconstruction = autoencode(x)
    loss = (reconstruction - x).abs().mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(epoch, loss.item())
