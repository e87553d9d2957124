"""`completion`: scripts for shells."""
