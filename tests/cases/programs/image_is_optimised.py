# right
import torch
import torch.nn as nn

torch.manual_seed(0)
features = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1))
features.eval().requires_grad_(False)
content = torch.rand(1, 1, 8, 8)


def gram(f):
    f = f.flatten(2).squeeze(0)
    return f @ f.T / f.numel()


style_gram = gram(features(torch.rand(1, 1, 8, 8)))
content_features = features(content)
image = content.clone().requires_grad_(True)
opt = torch.optim.Adam([image], lr=0.02)
for i in range(5):
    f = features(image)
    loss = (f - content_features).pow(2).mean() + 100 * (gram(f) - style_gram).pow(2).sum()
    opt.zero_grad()
    loss.backward()
    opt.step()
    with torch.no_grad():
        image.clamp_(0, 1)
    print(i, loss.item())
