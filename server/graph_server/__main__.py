"""``python -m graph_server``."""

import logging
import os
import signal
import sys
from contextlib import suppress

from kserve_wire.loading import let_idle_threads_sleep, without_collections

# A signal before the server runs ends the process without a traceback and with a clean-up.
signal.signal(signal.SIGTERM, signal.default_int_handler)
let_idle_threads_sleep()
# OpenVINO's own import loads its converter for 30 ms, which serving does not need. Whoever does may import it later.
_CONVERTER = "openvino.tools.ovc"
sys.modules[_CONVERTER] = None  # type: ignore[assignment]
try:
    with without_collections():
        from graph_server.cli.command import main

    del sys.modules[_CONVERTER]
    status = main()
except KeyboardInterrupt:
    status = 130
# Everything is closed. Exit at once, because releasing OpenVINO's networks would take 0.3 s.
logging.shutdown()
with suppress(OSError):  # the reader of the output may be gone
    sys.stdout.flush()
    sys.stderr.flush()
os._exit(status)
