# bug: size-mismatch
import torch
import torch.nn as nn
from torch.nn.utils.rnn import pad_sequence

torch.manual_seed(0)
MAX = 8
sentences = [torch.randint(1, 20, (n,)) for n in (3, 6, 5)]
ids = pad_sequence(sentences, batch_first=True)
mask = torch.zeros(3, MAX)  # <-- cause
for i, s in enumerate(sentences):
    mask[i, : len(s)] = 1

emb = nn.Embedding(20, 4, padding_idx=0)
clf = nn.Linear(4, 2)
opt = torch.optim.Adam([*emb.parameters(), *clf.parameters()], lr=0.01)
y = torch.tensor([0, 1, 0])
for epoch in range(3):
    e = emb(ids) * mask.unsqueeze(-1)
    logits = clf(e.sum(1) / mask.sum(1, keepdim=True))
    loss = nn.functional.cross_entropy(logits, y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(epoch, loss.item())
