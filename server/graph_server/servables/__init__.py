"""What the server serves: loaded, replaced, reloaded."""
