"""Reads a whole list page by page while rows are created and deleted."""
