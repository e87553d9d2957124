"""`batch`: JSON jobs in, JSON results out."""
