"""Sends the rows of a file, each exactly once, and writes the report."""
