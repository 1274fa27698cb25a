"""Who videos to learn from are fetched from."""
