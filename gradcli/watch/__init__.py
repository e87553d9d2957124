"""A user's program, run while autograd is watched, and what was found in it."""
