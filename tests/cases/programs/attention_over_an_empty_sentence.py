# bug: masked-row
import torch
import torch.nn as nn

torch.manual_seed(0)
lengths = torch.tensor([4, 2, 0])
x = torch.randn(3, 4, 6)
mask = torch.arange(4)[None, :] < lengths[:, None]
y = torch.tensor([1, 0, 1])


class Pooled(nn.Module):
    def __init__(self):
        super().__init__()
        self.score = nn.Linear(6, 1)
        self.out = nn.Linear(6, 2)

    def forward(self, x, mask):
        s = self.score(x).squeeze(-1)
        s = s.masked_fill(~mask, float("-inf"))  # <-- cause
        a = torch.softmax(s, dim=1)  # <-- cause
        return self.out((a.unsqueeze(-1) * x).sum(1))


model = Pooled()
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
for epoch in range(3):
    loss = nn.functional.cross_entropy(model(x, mask), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(epoch, loss.item())
