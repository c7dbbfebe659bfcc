"""Rows to Arrow to Parquet: no HTTP, no Airflow."""
