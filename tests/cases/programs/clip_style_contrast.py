# right
import math

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)
image_tower, text_tower = nn.Linear(10, 6), nn.Linear(7, 6)
logit_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))
params = [*image_tower.parameters(), *text_tower.parameters(), logit_scale]
opt = torch.optim.AdamW(params, lr=1e-2)
images = torch.randn(12, 10)
texts = images[:, :7] + 0.1 * torch.randn(12, 7)
labels = torch.arange(12)
for step in range(6):
    i = F.normalize(image_tower(images), dim=-1)
    t = F.normalize(text_tower(texts), dim=-1)
    logits = logit_scale.exp() * i @ t.T
    loss = (F.cross_entropy(logits, labels) + F.cross_entropy(logits.T, labels)) / 2
    opt.zero_grad()
    loss.backward()
    opt.step()
    with torch.no_grad():
        logit_scale.clamp_(max=math.log(100))
    print(step, loss.item(), logit_scale.item())
