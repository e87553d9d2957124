# check: spring_energy pos=randn(5,2) rest=rand(4)
# expect: ok
# check: pairwise_energy pos=0,0;1,0;0,1
# expect: pos nan
# check: pairwise_energy_masked pos=0,0;1,0;0,1
# expect: ok
# check: rollout x=1,0 k=0.5
# expect: ok
# check: rollout_numpy_step x=1,0 k=0.5
# expect: x value; k value
# check: clip_speed v=randn(4,2)
# expect: ok
# check: normalise_in_place v=randn(4,2)
# expect: v mutates
import numpy as np
import torch


def spring_energy(pos, rest):
    d = pos[1:] - pos[:-1]
    return 0.5 * ((d.norm(dim=1) - rest) ** 2).sum()


def pairwise_energy(pos):
    diff = pos[:, None, :] - pos[None, :, :]
    r = torch.sqrt((diff**2).sum(-1))
    return torch.exp(-r).sum()


def pairwise_energy_masked(pos):
    i, j = torch.triu_indices(len(pos), len(pos), offset=1)
    r = torch.sqrt(((pos[i] - pos[j]) ** 2).sum(-1))
    return 2 * torch.exp(-r).sum() + len(pos)


def rollout(x, k, dt=0.1, steps=5):
    pos, vel = x[0], x[1]
    for _ in range(steps):
        vel = vel - dt * k * torch.sin(pos)
        pos = pos + dt * vel
    return pos, vel


def rollout_numpy_step(x, k, dt=0.1, steps=5):
    pos, vel = x[0], x[1]
    for _ in range(steps):
        vel = vel - dt * k * torch.tensor(np.sin(pos.detach().numpy()))
        pos = pos + dt * vel
    return pos, vel


def clip_speed(v, limit=0.5):
    speed = v.norm(dim=1, keepdim=True)
    return torch.where(speed > limit, v * limit / speed, v)


def normalise_in_place(v):
    with torch.no_grad():
        v /= 2
    return (v**2).sum()
