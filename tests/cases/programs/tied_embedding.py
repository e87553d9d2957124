# right
import torch
import torch.nn as nn
import torch.nn.functional as F


class TiedLM(nn.Module):
    def __init__(self, vocab, dim):
        super().__init__()
        self.embed = nn.Embedding(vocab, dim, padding_idx=0)
        self.mix = nn.Linear(dim, dim)
        self.decoder = nn.Linear(dim, vocab, bias=False)
        self.decoder.weight = self.embed.weight

    def forward(self, ids):
        h = torch.cumsum(self.embed(ids), dim=1)
        return self.decoder(F.gelu(self.mix(h)))


torch.manual_seed(0)
lm = TiedLM(15, 6)
opt = torch.optim.Adam(lm.parameters(), lr=0.01)
ids = torch.randint(1, 15, (4, 8))
ids[:, 6:] = 0
for step in range(4):
    logits = lm(ids[:, :-1])
    loss = F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten(), ignore_index=0)
    opt.zero_grad(set_to_none=True)
    loss.backward()
    opt.step()
    print(step, loss.item())
