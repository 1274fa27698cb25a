"""Streams of this machine, which the API starts and controls."""
