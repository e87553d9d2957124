# bug: double-softmax
import torch
import torch.nn as nn
import torch.nn.functional as F


class Tagger(nn.Module):
    def __init__(self, words, tags, dim=8):
        super().__init__()
        self.emb = nn.Embedding(words, dim)
        self.lstm = nn.LSTM(dim, dim, batch_first=True, bidirectional=True)
        self.proj = nn.Linear(2 * dim, tags)

    def forward(self, ids):
        h, _ = self.lstm(self.emb(ids))
        return F.softmax(self.proj(h), dim=-1)  # <-- cause


def train(model, ids, tags, epochs=5):
    opt = torch.optim.Adam(model.parameters(), lr=0.05)
    for _ in range(epochs):
        out = model(ids)
        flat = out.view(-1, out.size(-1))
        loss = F.cross_entropy(flat, tags.view(-1))  # <-- cause
        opt.zero_grad()
        loss.backward()
        opt.step()
        print(loss.item())
    return out


torch.manual_seed(0)
ids = torch.randint(0, 12, (4, 6))
tags = ids % 3
out = train(Tagger(12, 3), ids, tags)
