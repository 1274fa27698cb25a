"""Prometheus metrics under OVMS's names."""
