"""Sends one HTTP request: rate limit, retries, and reading of the response."""
