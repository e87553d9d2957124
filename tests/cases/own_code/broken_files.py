# check: no_such_name x=1
# expect: exit 2 no_such_name
# check: needs_two x=1
# expect: exit 2 y
# check: needs_two x=1 z=2
# expect: exit 2 z
# check: mismatch x=randn(2,3) w=randn(2,3)
# expect: exit 2 return x @ w
# check: typo x=1
# expect: exit 2 torch.sinn
# check: CONSTANT x=1
# expect: exit 2 CONSTANT
# check: nothing x=1
# expect: exit 2 nothing
# check: prints x=2
# expect: ok
import torch

CONSTANT = 3


def needs_two(x, y):
    return x * y


def mismatch(x, w):
    return x @ w


def typo(x):
    return torch.sinn(x)


def nothing(x):
    x * 2


def prints(x):
    print("x is", x)
    return x**2
