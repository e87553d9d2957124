# bug: index-range
import torch
import torch.nn as nn
from torch.nn.utils.rnn import pad_sequence

torch.manual_seed(0)
vocab = {"good": 0, "bad": 1, "film": 2, "very": 3}
PAD = len(vocab)
reviews = [(["very", "good", "film"], 1.0), (["bad"], 0.0), (["very", "bad"], 0.0)]
seqs = [torch.tensor([vocab[w] for w in words]) for words, _ in reviews]
batch = pad_sequence(seqs, batch_first=True, padding_value=PAD)  # <-- cause
labels = torch.tensor([label for _, label in reviews])

emb = nn.Embedding(len(vocab), 6)  # <-- cause
fc = nn.Linear(6, 1)
optimizer = torch.optim.SGD([*emb.parameters(), *fc.parameters()], lr=0.1)
for epoch in range(3):
    logits = fc(emb(batch).mean(1)).squeeze(1)
    loss = nn.functional.binary_cross_entropy_with_logits(logits, labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(epoch, loss.item())
