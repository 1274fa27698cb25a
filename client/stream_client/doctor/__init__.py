"""Examines what a run needs, before it: server, source, outputs, this machine."""
