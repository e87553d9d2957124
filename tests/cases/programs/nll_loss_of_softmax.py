# bug: nll-of-probabilities
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(16, 20)
        self.fc2 = nn.Linear(20, 10)

    def forward(self, x):
        x = x.view(-1, 16)
        x = F.relu(self.fc1(x))
        x = self.fc2(x)
        return F.softmax(x, dim=1)  # <-- cause


net = Net()
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
images, digits = torch.rand(20, 1, 4, 4), torch.randint(0, 10, (20,))
for epoch in range(5):
    net.zero_grad()
    output = net(images)
    loss = F.nll_loss(output, digits)  # <-- cause
    loss.backward()
    optimizer.step()
    print(epoch, loss.item())
