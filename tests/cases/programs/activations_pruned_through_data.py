# bug: data-attribute
import torch
import torch.nn as nn

torch.manual_seed(0)
enc = nn.Linear(6, 10)
dec = nn.Linear(10, 6)
opt = torch.optim.SGD([*enc.parameters(), *dec.parameters()], lr=0.1)
x = torch.rand(12, 6)


def sparse_code(x, keep=3):
    h = torch.sigmoid(enc(x))
    recon = dec(h)
    # keep the strongest units only, for the next layer
    threshold = h.topk(keep, dim=1).values[:, -1:]
    h.data[h.data < threshold.data] = 0  # <-- cause
    return h, recon


for epoch in range(3):
    right = torch.autograd.grad((dec(torch.sigmoid(enc(x))) - x).pow(2).mean(), enc.weight)[0]
    code, recon = sparse_code(x)
    loss = (recon - x).pow(2).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(epoch, loss.item(), int((code > 0).sum()))
