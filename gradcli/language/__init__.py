"""What a user types, checked without PyTorch: expressions, literals, calls such as
`huber(delta=2)`, names of files.
"""
