"""`jacobian`: the whole Jacobian of an expression."""
