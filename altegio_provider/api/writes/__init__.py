"""Repeats a write only where that is safe: create once, and retry what may be repeated."""
