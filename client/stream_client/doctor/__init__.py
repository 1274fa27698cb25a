"""Examines what a run needs: server, source, outputs, this machine."""
