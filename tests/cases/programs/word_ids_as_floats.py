# bug: index-dtype
import torch
import torch.nn as nn

sentences = ["the cat sat", "the dog ran", "a cat ran"]
vocab = {w: i for i, w in enumerate(sorted({w for s in sentences for w in s.split()}))}
ids = torch.Tensor([[vocab[w] for w in s.split()] for s in sentences])  # <-- cause
labels = torch.tensor([0, 1, 1])


class BagOfWords(nn.Module):
    def __init__(self, n_words, dim, n_classes):
        super().__init__()
        self.embedding = nn.Embedding(n_words, dim)
        self.fc = nn.Linear(dim, n_classes)

    def forward(self, ids):
        return self.fc(self.embedding(ids).mean(dim=1))


torch.manual_seed(0)
model = BagOfWords(len(vocab), 8, 2)
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
for epoch in range(3):
    loss = nn.functional.cross_entropy(model(ids), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(epoch, loss.item())
