"""``python -m graph_server``."""

import logging
import os
import signal
import sys
from contextlib import suppress

# What ends it before it serves ends it without a traceback, and lets it clean up behind itself.
signal.signal(signal.SIGTERM, signal.default_int_handler)
try:
    from graph_server.cli.command import main

    status = main()
except KeyboardInterrupt:
    status = 130
# All is closed. To take OpenVINO's networks apart, which the system does at once, would take 0.3 s.
logging.shutdown()
with suppress(OSError):  # nobody may be there to read
    sys.stdout.flush()
    sys.stderr.flush()
os._exit(status)
