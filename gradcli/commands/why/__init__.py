"""`why`: a famous mistake, made, explained and fixed."""
