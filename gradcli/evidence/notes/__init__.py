"""Notes: trouble that a run met on its way."""
