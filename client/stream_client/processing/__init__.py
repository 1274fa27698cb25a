"""Prepares frames for sending, and turns answers into results."""
