"""`server`: the warm start."""
