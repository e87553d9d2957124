"""`hessian`: second derivatives, eigenvalues, and the kind of a stationary point."""
