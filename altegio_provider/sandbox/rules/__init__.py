"""What the API demands of what is sent to it."""
