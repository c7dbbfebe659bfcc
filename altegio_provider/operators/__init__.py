"""Operators: single calls, and batches of them."""
