"""The warm start: a server that has PyTorch loaded, and a client that loads nothing."""
