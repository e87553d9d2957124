"""Why a number is what it is: the ledger, the check, expectations and notes, each from what a
result says of itself.
"""
