"""Apache Airflow provider for Altegio, the booking platform of studios, salons and clinics."""

from __future__ import annotations

__all__ = ["__version__"]

__version__ = "0.1.0"
