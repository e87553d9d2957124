"""Notes: trouble that a run met."""
