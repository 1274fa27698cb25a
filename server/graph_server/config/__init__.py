"""OVMS's configuration files."""
