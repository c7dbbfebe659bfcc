"""Triggers: what waits in the triggerer, for sensors and for DAGs that events start."""
