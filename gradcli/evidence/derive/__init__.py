"""`derive`: gradients as formulas, each verified against autograd before it is shown."""
