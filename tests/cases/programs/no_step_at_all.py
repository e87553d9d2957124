# bug: never-updated
import torch
import torch.nn as nn
import torch.optim as optim

torch.manual_seed(0)
net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(2 * 36, 4))
start = [p.detach().clone() for p in net.parameters()]
criterion = nn.CrossEntropyLoss()
optimizer = optim.SGD(net.parameters(), lr=0.001, momentum=0.9)  # <-- cause
images = torch.rand(8, 1, 8, 8)
labels = torch.randint(0, 4, (8,))

for epoch in range(4):
    running_loss = 0.0
    for i in range(0, 8, 4):
        optimizer.zero_grad()
        outputs = net(images[i : i + 4])
        loss = criterion(outputs, labels[i : i + 4])
        loss.backward()  # <-- cause
        running_loss += loss.item()
    print(f"[{epoch + 1}] loss: {running_loss / 2:.3f}")
print("Finished Training")
