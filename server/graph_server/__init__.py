"""A local replacement for OpenVINO Model Server: same files, same models, same behavior on the wire."""

import sys
from importlib.metadata import version

__version__ = version("ovms-stream-client")

# Importing OpenVINO sends a usage event to Google Analytics, and the user has not agreed to this. Without its
# telemetry package OpenVINO uses a stub that sends nothing.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
