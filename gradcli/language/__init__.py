"""What a user types, checked without PyTorch: expressions, literals, calls, names of files."""
