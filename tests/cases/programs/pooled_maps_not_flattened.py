# bug: shape-mismatch
import torch
import torch.nn as nn

torch.manual_seed(0)


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.pool = nn.MaxPool2d(4)
        self.fc = nn.Linear(8 * 4 * 4, 5)

    def forward(self, x):
        x = torch.relu(self.conv(x))
        x = self.pool(x)  # <-- cause
        return self.fc(x)  # <-- cause


encoder = Encoder()
optimizer = torch.optim.Adam(encoder.parameters(), lr=1e-3)
x = torch.rand(2, 3, 16, 16)
for _ in range(2):
    z = encoder(x)
    loss = z.pow(2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
