# bug: softmax-dim
import warnings

import torch
import torch.nn as nn
import torch.nn.functional as F

warnings.simplefilter("ignore")


class Head(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.qk = nn.Linear(d, d, bias=False)
        self.v = nn.Linear(d, 2)

    def forward(self, x):
        scores = self.qk(x) @ x.transpose(1, 2)
        return F.softmax(scores) @ self.v(x)  # <-- cause


torch.manual_seed(0)
head = Head(5)
opt = torch.optim.Adam(head.parameters(), lr=0.01)
x = torch.randn(3, 4, 5)
y = torch.randn(3, 4, 2)
for step in range(3):
    out = head(x)
    loss = F.mse_loss(out, y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(step, loss.item())
