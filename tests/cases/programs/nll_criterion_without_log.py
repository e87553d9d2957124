# bug: nll-of-probabilities
import torch
from torch import nn

torch.manual_seed(0)
rnn = nn.RNNCell(5, 7)
decoder = nn.Linear(7, 3)
softmax = nn.Softmax(dim=-1)
criterion = nn.NLLLoss()
params = [*rnn.parameters(), *decoder.parameters()]
names = [torch.randn(4, 1, 5), torch.randn(6, 1, 5)]
languages = [torch.tensor([0]), torch.tensor([2])]

for epoch in range(4):
    for name, language in zip(names, languages):
        h = torch.zeros(1, 7)
        for letter in name:
            h = rnn(letter, h)
        guess = softmax(decoder(h))  # <-- cause
        loss = criterion(guess, language)  # <-- cause
        for p in params:
            p.grad = None
        loss.backward()
        for p in params:
            p.data.add_(p.grad, alpha=-0.05)
    print(epoch, loss.item())
