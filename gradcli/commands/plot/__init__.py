"""`plot`: functions over a range, or an expression over two ranges."""
