"""A local replacement for OpenVINO Model Server: same files, same models, same behavior on the wire."""

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    __version__: str

# Importing OpenVINO sends a usage event to Google Analytics, and the user has not agreed to this. Without its
# telemetry package OpenVINO uses a stub that sends nothing.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]


def __getattr__(name: str) -> Any:
    """The version, which takes 10 ms to find and is not needed to start."""
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib.metadata import version

    return version("ovms-stream-client")
