# bug: numpy-on-grad
import numpy as np
import torch
import torch.nn as nn

torch.manual_seed(0)
X = torch.randn(30, 4)
Y = (X[:, 0] > 0).long()

clf = nn.Linear(4, 2)
opt = torch.optim.SGD(clf.parameters(), lr=0.5)
for epoch in range(10):
    opt.zero_grad()
    loss = nn.functional.cross_entropy(clf(X), Y)
    loss.backward()
    opt.step()

scores = clf(X).softmax(dim=1)
confusion = np.zeros((2, 2), dtype=int)
for t, s in zip(Y.tolist(), scores):
    confusion[t, np.argmax(s.numpy())] += 1  # <-- cause
print(confusion)
