# bug: frozen
import torch
import torch.nn as nn


def pretrained_backbone():
    torch.manual_seed(42)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    )


class Classifier(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.backbone = pretrained_backbone()
        self.head = nn.Linear(4, classes)

    def forward(self, x):
        return self.head(self.backbone(x))


model = Classifier(3)
# fine-tuning: do not touch the pretrained weights
for p in model.parameters():
    p.requires_grad = False  # <-- cause

images = torch.rand(6, 1, 8, 8)
labels = torch.tensor([0, 1, 2, 0, 1, 2])
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
criterion = nn.CrossEntropyLoss()
for epoch in range(3):
    optimizer.zero_grad()
    loss = criterion(model(images), labels)
    loss.backward()
    optimizer.step()
    print(epoch, loss.item())
