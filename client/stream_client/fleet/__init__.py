"""Many streams at a time."""
