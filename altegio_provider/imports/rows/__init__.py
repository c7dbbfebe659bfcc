"""Checks the rows of a file: from cells to the body of a request."""
