"""What gradcli knows, as data: records and lookups, with PyTorch's functions named by strings and
never imported.
"""
