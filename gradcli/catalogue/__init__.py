"""Data: records and lookups that name PyTorch's functions by strings and never import it."""
