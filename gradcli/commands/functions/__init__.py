"""`functions`: the catalogue to read."""
