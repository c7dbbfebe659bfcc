"""Reads a whole list from pages that promise no order while rows come and go."""
