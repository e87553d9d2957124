"""`flow`: how large the gradient is in every layer of a deep stack."""
