# bug: never-updated|learning-rate
import torch
import torch.nn as nn

torch.manual_seed(0)
model = nn.Linear(4, 1)
start = model.weight.detach().clone()
optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
# linear warm-up over 100 epochs
scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: epoch // 100)  # <-- cause
x = torch.randn(32, 4)
y = x.sum(1, keepdim=True)

for epoch in range(8):
    loss = nn.functional.mse_loss(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()  # <-- cause
    scheduler.step()
    print(epoch, scheduler.get_last_lr(), loss.item())
