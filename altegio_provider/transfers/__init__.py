"""Operators that write rows of the API to files, and load files into a warehouse."""
