"""Benchmarks: ``make bench``. What they measure and what they gave stands in ``docs/performance.md``."""
