"""Reads a test pattern's codes back: latency, loss, duplicates and order of a whole way."""
