"""Finds in Altegio what a row names, and what a lost request left behind."""
