# bug: detached|data-attribute
import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super(Net, self).__init__()
        self.fc1 = nn.Linear(4, 8)
        self.fc2 = nn.Linear(8, 2)

    def forward(self, x):
        x = F.relu(self.fc1(x))
        return self.fc2(x)


torch.manual_seed(1)
net = Net()
optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
inputs = torch.randn(12, 4)
targets = torch.randint(0, 2, (12,))
for epoch in range(3):
    optimizer.zero_grad()
    outputs = net(inputs)
    probs = outputs.data  # <-- cause
    loss = F.cross_entropy(probs, targets)
    loss.backward()
    optimizer.step()
    _, predicted = torch.max(probs, 1)
    print(epoch, loss.item(), (predicted == targets).sum().item())
