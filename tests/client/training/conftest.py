"""Hypothesis without its clock: no test of ours judges durations."""

import openvino  # noqa: F401 - its import starts a thread (telemetry): before any test counts threads
from hypothesis import settings

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
