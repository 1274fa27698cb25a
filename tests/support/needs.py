"""What a benchmark needs of the machine; without it, one line says what is missing, and the status is 77."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence

LACKING = 77
"""The exit status of a benchmark that this machine cannot run."""
_PYTHON = "/usr/bin/python3"
_FIND = """
import sys, gi
gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gst, GstRtspServer
Gst.init(None)
print(" ".join(name for name in sys.argv[1:] if Gst.ElementFactory.find(name) is None))
"""


def need(programs: Sequence[str] = (), *, root: bool = False, elements: Sequence[str] | None = None) -> None:
    """End here unless there are these programs, root's rights, and GStreamer's RTSP server with these elements."""
    missing = [name for name in programs if shutil.which(name) is None]
    if root and os.geteuid():
        missing.append("root")
    if elements is not None:
        found = subprocess.run([_PYTHON, "-c", _FIND, *elements], capture_output=True, text=True, check=False)
        missing += found.stdout.split() if not found.returncode else ["GStreamer's RTSP server"]
    if missing:
        print(f"it needs {', '.join(missing)}")
        sys.exit(LACKING)
