"""Formulas in index notation: their simplification, derivatives and texts. Without PyTorch."""
