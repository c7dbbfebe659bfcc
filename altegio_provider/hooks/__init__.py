"""The hook, and the reading of its connection."""
