"""What developers run by hand, at night or in CI; no part of the package."""
