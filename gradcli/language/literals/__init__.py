"""Tensor literals: what a user may write for a tensor."""
