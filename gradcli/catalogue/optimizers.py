"""The names of torch.optim's optimisers for help and completion; the installed PyTorch decides."""

NAMES = (
    "sgd", "adam", "adamw", "rmsprop", "adagrad", "adadelta", "adafactor", "adamax", "asgd", "lbfgs", "muon", "nadam",
    "radam", "rprop", "sparseadam",
)  # fmt: skip
