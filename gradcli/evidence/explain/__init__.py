"""`--explain`: the chain rule in numbers."""
