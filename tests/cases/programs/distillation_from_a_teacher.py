# right
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)
teacher = nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 3))
student = nn.Linear(6, 3)
opt_t = torch.optim.Adam(teacher.parameters(), lr=0.01)
opt_s = torch.optim.Adam(student.parameters(), lr=0.05)
x = torch.randn(60, 6)
y = x[:, :3].argmax(1)
for _ in range(5):
    opt_t.zero_grad()
    F.cross_entropy(teacher(x), y, label_smoothing=0.1).backward()
    opt_t.step()

teacher.eval()
T = 3.0
for epoch in range(5):
    with torch.no_grad():
        soft = F.softmax(teacher(x) / T, dim=1)
    logits = student(x)
    hard_loss = F.cross_entropy(logits, y)
    soft_loss = F.cross_entropy(logits / T, soft)  # probabilities as target
    kd = F.kl_div(F.log_softmax(logits / T, 1), soft, reduction="batchmean") * T * T
    loss = hard_loss + 0.5 * soft_loss + 0.5 * kd
    opt_s.zero_grad()
    loss.backward()
    opt_s.step()
    print(epoch, loss.item())
