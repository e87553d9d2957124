# right
import math

import torch
import torch.nn as nn


class Decoder(nn.Module):
    def __init__(self, vocab, dim):
        super().__init__()
        self.tok = nn.Embedding(vocab, dim, padding_idx=0)
        self.register_buffer("causal", torch.triu(torch.ones(16, 16), diagonal=1).bool())
        self.qkv = nn.Linear(dim, 3 * dim)
        self.norm = nn.LayerNorm(dim)
        self.out = nn.Linear(dim, vocab)

    def forward(self, ids):
        T = ids.size(1)
        h = self.tok(ids)
        q, k, v = self.qkv(self.norm(h)).chunk(3, dim=-1)
        scores = q @ k.transpose(1, 2) / math.sqrt(q.size(-1))
        scores = scores.masked_fill(self.causal[:T, :T], float("-inf"))
        return self.out(h + scores.softmax(-1) @ v)


torch.manual_seed(0)
model = Decoder(14, 8)
opt = torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.1)
ids = torch.randint(1, 14, (4, 10))
ids[1, 7:] = 0
ids[3, 4:] = 0
targets = torch.where(ids[:, 1:] == 0, -100, ids[:, 1:])
for step in range(4):
    logits = model(ids[:, :-1])
    loss = nn.functional.cross_entropy(logits.transpose(1, 2), targets)
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(step, loss.item())
