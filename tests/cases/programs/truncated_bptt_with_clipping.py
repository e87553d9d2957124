# right
import torch
import torch.nn as nn


def detach(state):
    return tuple(s.detach() for s in state)


class RNNModel(nn.Module):
    def __init__(self, vocab, size):
        super().__init__()
        self.embed = nn.Embedding(vocab, size)
        self.lstm = nn.LSTM(size, size, num_layers=2, batch_first=True)
        self.linear = nn.Linear(size, vocab)

    def forward(self, x, h):
        out, h = self.lstm(self.embed(x), h)
        return self.linear(out.reshape(-1, out.size(2))), h


torch.manual_seed(0)
vocab, size, batch, seq = 12, 8, 3, 5
ids = torch.randint(0, vocab, (batch, 31))
model = RNNModel(vocab, size)
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)

for epoch in range(2):
    states = (torch.zeros(2, batch, size), torch.zeros(2, batch, size))
    for i in range(0, ids.size(1) - seq, seq):
        inputs, targets = ids[:, i : i + seq], ids[:, i + 1 : i + 1 + seq]
        states = detach(states)
        outputs, states = model(inputs, states)
        loss = criterion(outputs, targets.reshape(-1))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
    print(epoch, loss.item())
