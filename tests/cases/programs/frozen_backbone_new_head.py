# right
import torch
import torch.nn as nn


class Pretrained(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(inplace=True), nn.MaxPool2d(2)
        )
        self.fc = nn.Linear(6 * 16, 10)

    def forward(self, x):
        return self.fc(torch.flatten(self.features(x), 1))


torch.manual_seed(0)
model = Pretrained()
for param in model.parameters():
    param.requires_grad = False
model.fc = nn.Linear(model.fc.in_features, 2)
optimizer = torch.optim.SGD(model.fc.parameters(), lr=0.01, momentum=0.9)
criterion = nn.CrossEntropyLoss()
x = torch.rand(10, 3, 8, 8)
y = torch.tensor([0, 1] * 5)
model.train()
for epoch in range(4):
    optimizer.zero_grad()
    outputs = model(x)
    _, preds = torch.max(outputs, 1)
    loss = criterion(outputs, y)
    loss.backward()
    optimizer.step()
    print(epoch, loss.item(), torch.sum(preds == y.data).item() / 10)
