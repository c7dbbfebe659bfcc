"""Used by every ring: the location's clock, and garbage collection."""
