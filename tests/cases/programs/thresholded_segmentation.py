# bug: not-differentiable|step-activation
import torch
import torch.nn as nn


def dice_loss(mask, target, eps=1e-6):
    inter = (mask * target).sum()
    return 1 - (2 * inter + eps) / (mask.sum() + target.sum() + eps)


class TinyUNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.down = nn.Conv2d(1, 4, 3, padding=1)
        self.up = nn.Conv2d(4, 1, 3, padding=1)

    def forward(self, x):
        return torch.sigmoid(self.up(torch.relu(self.down(x))))


torch.manual_seed(0)
net = TinyUNet()
optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
images = torch.rand(4, 1, 8, 8)
masks = (images > 0.6).float()

for epoch in range(3):
    probability = net(images)
    mask = (probability > 0.5).float()  # <-- cause
    loss = dice_loss(mask, masks)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print("dice", 1 - loss.item())
