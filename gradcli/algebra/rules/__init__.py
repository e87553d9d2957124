"""The operations of expressions as formulas, each by its definition in index notation."""
