"""Finds the events that rows name, and the records of requests whose responses were lost."""
