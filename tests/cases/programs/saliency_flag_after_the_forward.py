# bug: late-flag
import torch
import torch.nn as nn

torch.manual_seed(0)
cnn = nn.Sequential(
    nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 5)
)
opt = torch.optim.SGD(cnn.parameters(), lr=0.1)
images = torch.rand(4, 1, 6, 6)
labels = torch.tensor([0, 1, 2, 3])
for _ in range(2):
    opt.zero_grad()
    nn.functional.cross_entropy(cnn(images), labels).backward()
    opt.step()

# which pixels matter?
image = images[:1].clone()
scores = cnn(image)
image.requires_grad_()  # <-- cause
scores.max().backward()
saliency = image.grad.abs().squeeze()
print(saliency)
