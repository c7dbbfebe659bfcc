"""What the sandbox holds."""
