"""Measures runs: throughput, latency by stage, stability, sweeps over settings."""
