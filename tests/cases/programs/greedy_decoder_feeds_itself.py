# right
import random

import torch
import torch.nn as nn

random.seed(0)
torch.manual_seed(0)
V, H, SOS = 9, 10, 0
emb, enc, dec = nn.Embedding(V, H), nn.GRU(H, H), nn.GRUCell(H, H)
out = nn.Linear(H, V)
params = [p for m in (emb, enc, dec, out) for p in m.parameters()]
opt = torch.optim.Adam(params, lr=0.01)
src = torch.randint(1, V, (5, 4))
tgt = src.flip(0)
for epoch in range(5):
    _, h = enc(emb(src))
    h = h.squeeze(0)
    token = torch.full((4,), SOS)
    loss = 0.0
    forcing = random.random() < 0.5
    for t in range(5):
        h = dec(emb(token), h)
        logits = out(h)
        loss += nn.functional.cross_entropy(logits, tgt[t])
        token = tgt[t] if forcing else logits.topk(1).indices.squeeze(1).detach()
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(epoch, loss.item() / 5)
