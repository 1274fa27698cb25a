"""Loads, replaces and reloads what the server serves."""
