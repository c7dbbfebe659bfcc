"""Benchmarks: ``make bench``. ``docs/performance.md`` describes the measurements and has the results."""
