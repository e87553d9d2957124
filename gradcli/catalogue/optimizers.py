"""The optimisers of torch.optim by name, for help and completion; what the installed PyTorch has
decides in the end.
"""

NAMES = (
    "sgd", "adam", "adamw", "rmsprop", "adagrad", "adadelta", "adafactor", "adamax", "asgd", "lbfgs", "muon", "nadam",
    "radam", "rprop", "sparseadam",
)  # fmt: skip
