"""What every ring uses: the location's clock, integers in text, and garbage collection."""
