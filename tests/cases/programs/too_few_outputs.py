# bug: class-range
import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self, n_in, n_hidden, n_out):
        super().__init__()
        self.hidden = nn.Linear(n_in, n_hidden)
        self.out = nn.Linear(n_hidden, n_out)  # <-- cause

    def forward(self, x):
        return F.log_softmax(self.out(F.relu(self.hidden(x))), dim=1)


def main():
    torch.manual_seed(5)
    x = torch.cat([torch.randn(10, 2) + c for c in (-3, 0, 3)])
    y = torch.cat([torch.full((10,), k) for k in (0, 1, 2)])  # <-- cause
    net = Net(2, 10, 2)
    opt = torch.optim.SGD(net.parameters(), lr=0.1)
    for t in range(5):
        loss = F.nll_loss(net(x), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        print(t, loss.item())


main()
