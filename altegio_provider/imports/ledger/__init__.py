"""The ledger: a database of what was meant to be sent, and what became of it."""
