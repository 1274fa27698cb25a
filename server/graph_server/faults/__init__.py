"""Injects faults into responses, to test clients."""
