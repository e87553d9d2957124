"""`--code`: the shortest PyTorch program that prints the numbers of a result."""
