# bug: inplace-leaf|inplace-view
import torch
import torch.nn as nn

torch.manual_seed(0)
pretrained = torch.randn(10, 4)


class TextModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(10, 4)
        self.fc = nn.Linear(4, 2)
        for i in range(1, 10):
            self.emb.weight[i] = pretrained[i]  # <-- cause

    def forward(self, ids):
        return self.fc(self.emb(ids).mean(1))


model = TextModel()
opt = torch.optim.Adam(model.parameters())
ids = torch.randint(0, 10, (6, 5))
loss = nn.functional.cross_entropy(model(ids), ids[:, 0] % 2)
loss.backward()
opt.step()
print(loss.item())
