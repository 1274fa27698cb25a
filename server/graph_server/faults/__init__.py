"""Faults that are injected for tests of clients."""
