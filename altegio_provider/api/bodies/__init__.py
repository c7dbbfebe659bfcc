"""Checks the bodies of requests before they are sent."""
