# bug: tensor-copy|item-breaks
import torch
import torch.nn as nn

torch.manual_seed(0)
rnn = nn.RNN(2, 6, batch_first=True)
fc = nn.Linear(6, 1)
optimizer = torch.optim.SGD([*rnn.parameters(), *fc.parameters()], lr=0.01)

# sequences of different lengths
sequences = [torch.randn(n, 2) for n in (3, 5, 4)]
targets = [s.sum() for s in sequences]

for epoch in range(2):
    losses = []
    for s, t in zip(sequences, targets):
        _, h = rnn(s.unsqueeze(0))
        losses.append((fc(h[-1]).squeeze() - t) ** 2)
    loss = torch.stack([torch.tensor(l.item()) for l in losses]).mean()  # <-- cause
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(epoch, loss.item())
