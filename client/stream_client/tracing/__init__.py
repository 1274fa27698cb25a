"""Traces of a frame's way."""
