"""Processes: the worker of one call, the pool of a batch, and the warm start."""
