"""What was typed, turned into checked values without PyTorch."""
