"""Landmarks: decoded from a graph's outputs, and smoothed."""
