"""A file of clients becomes appointments, each exactly once: no Airflow."""
