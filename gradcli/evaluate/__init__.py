"""A checked expression and tensors turned into a value: the machine, PyTorch's functions, and
records of what ran.
"""
