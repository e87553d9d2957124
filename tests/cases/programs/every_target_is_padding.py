# bug: ignored-targets
import torch
import torch.nn as nn

torch.manual_seed(0)
IGNORE = -100
tokens = torch.randint(1, 8, (3, 5))
targets = tokens.clone()
targets[1, 2:] = IGNORE
targets[2] = IGNORE  # a document that is padding only

net = nn.Sequential(nn.Embedding(8, 6), nn.Linear(6, 8))
criterion = nn.CrossEntropyLoss(ignore_index=IGNORE)
opt = torch.optim.SGD(net.parameters(), lr=0.1)
for epoch in range(2):
    for row, target in zip(tokens, targets):
        loss = criterion(net(row), target)  # <-- cause
        opt.zero_grad()
        loss.backward()
        opt.step()
        print(epoch, loss.item())
