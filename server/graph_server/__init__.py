"""A local stand-in for OpenVINO Model Server: same files, same models, same behaviour on the wire."""

import sys
from importlib.metadata import version

__version__ = version("ovms-stream-client")

# Importing OpenVINO reports a usage event to Google Analytics. Nobody asked the user, whose video this is:
# without its telemetry package it falls back to a stub that sends nothing.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
