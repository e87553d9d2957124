"""A checked expression and tensors turned into a value: the machine, and PyTorch's functions as the allow-list names them."""
