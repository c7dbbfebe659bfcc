"""Hooks: the connection, and the API's operations on it."""
