# bug: carried-state
import torch
import torch.nn as nn

torch.manual_seed(7)
series = torch.sin(torch.arange(0, 12, 0.1))

lstm = nn.LSTM(input_size=1, hidden_size=8)
linear = nn.Linear(8, 1)
params = list(lstm.parameters()) + list(linear.parameters())
optimizer = torch.optim.SGD(params, lr=0.01)

state = None
seq = 20
for i in range(0, 100, seq):
    inp = series[i : i + seq].view(seq, 1, 1)
    tgt = series[i + 1 : i + seq + 1].view(seq, 1, 1)
    if state is None:
        out, state = lstm(inp)  # <-- cause
    else:
        out, state = lstm(inp, state)  # <-- cause
    pred = linear(out)
    loss = (pred - tgt).pow(2).mean()
    optimizer.zero_grad()
    loss.backward()  # <-- cause
    optimizer.step()
    print(f"{i:4d} {loss.item():.5f}")
