"""The API's limit for one IP address, shared by all workers: where a request waits for its turn."""
