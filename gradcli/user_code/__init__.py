"""The user's own Python files: read, run as modules, and their errors as errors with a place."""
