"""Hypothesis without its clock: no test of ours judges durations."""

from hypothesis import settings

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
