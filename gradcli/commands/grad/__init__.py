"""`grad`: the value of an expression and its gradient by each input."""
