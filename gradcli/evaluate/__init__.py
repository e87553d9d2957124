"""Compute checked expressions on tensors: the machine, PyTorch's functions, records of a run."""
