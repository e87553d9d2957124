# bug: index-range
import torch
import torch.nn as nn


class TinyTransformer(nn.Module):
    def __init__(self, vocab=20, dim=8, max_len=10):
        super().__init__()
        self.tok = nn.Embedding(vocab, dim)
        self.pos = nn.Embedding(max_len, dim)  # <-- cause
        self.attn = nn.MultiheadAttention(dim, 2, batch_first=True)
        self.out = nn.Linear(dim, vocab)

    def forward(self, ids):
        positions = torch.arange(ids.size(1))  # <-- cause
        h = self.tok(ids) + self.pos(positions)
        h, _ = self.attn(h, h, h, need_weights=False)
        return self.out(h)


torch.manual_seed(0)
model = TinyTransformer()
opt = torch.optim.Adam(model.parameters(), lr=1e-3)
for length in (6, 10, 12):
    ids = torch.randint(0, 20, (3, length))
    logits = model(ids)
    loss = nn.functional.cross_entropy(logits.flatten(0, 1), ids.flatten())
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(length, loss.item())
