# bug: carried-state
import torch
import torch.nn as nn

text = "hello world, hello torch. " * 3
chars = sorted(set(text))
stoi = {c: i for i, c in enumerate(chars)}
data = torch.tensor([stoi[c] for c in text])


class CharRNN(nn.Module):
    def __init__(self, vocab, hidden=16):
        super().__init__()
        self.hidden = hidden
        self.emb = nn.Embedding(vocab, hidden)
        self.rnn = nn.GRU(hidden, hidden, batch_first=True)
        self.out = nn.Linear(hidden, vocab)

    def forward(self, x, h):
        o, h = self.rnn(self.emb(x), h)  # <-- cause
        return self.out(o), h


def train():
    torch.manual_seed(0)
    model = CharRNN(len(chars))
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    loss_fn = nn.CrossEntropyLoss()
    h = torch.zeros(1, 1, model.hidden)
    for start in range(0, 50, 10):
        xb = data[start : start + 10].unsqueeze(0)
        yb = data[start + 1 : start + 11].unsqueeze(0)
        logits, h = model(xb, h)  # <-- cause
        loss = loss_fn(logits.view(-1, len(chars)), yb.view(-1))
        optimizer.zero_grad()
        loss.backward()  # <-- cause
        optimizer.step()
        print(start, loss.item())


train()
