"""Why a number is what it is: the ledger, the check, expectations and notes on a result."""
