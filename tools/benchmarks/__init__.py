"""Speed: whole commands beside whole programs, as ratios."""
