"""Prometheus metrics with OVMS's names."""
