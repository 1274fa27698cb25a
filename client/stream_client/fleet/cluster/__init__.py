"""Fleets and batches on a Ray cluster (extra ``cluster``)."""
