# bug: batch-size
import torch
import torch.nn as nn
import torch.nn.functional as F

VOCAB = 11


class LM(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(VOCAB, 8)
        self.gru = nn.GRU(8, 8, batch_first=True)
        self.out = nn.Linear(8, VOCAB)

    def forward(self, ids):
        h, _ = self.gru(self.emb(ids))
        return self.out(h)


torch.manual_seed(0)
ids = torch.randint(0, VOCAB, (4, 9))
lm = LM()
optimizer = torch.optim.Adam(lm.parameters(), lr=0.01)

for epoch in range(3):
    logits = lm(ids[:, :-1])  # <-- cause
    targets = ids  # <-- cause
    loss = F.cross_entropy(logits.reshape(-1, VOCAB), targets.reshape(-1))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(epoch, loss.item())
