"""Expressions: the text parsed, checked against the allow-list, and turned into steps."""
