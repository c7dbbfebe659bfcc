"""One request over HTTP: its pace, its retries, and what its answer says."""
