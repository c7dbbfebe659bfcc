"""Converts rows of the API to Arrow."""
