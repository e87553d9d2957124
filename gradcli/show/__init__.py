"""A result turned into bytes: table, JSON, CSV, one value, or a file, all from the same result."""
