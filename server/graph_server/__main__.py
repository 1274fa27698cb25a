"""``python -m graph_server``."""

import signal
import sys

# What ends it before it serves ends it without a traceback, and lets it clean up behind itself.
signal.signal(signal.SIGTERM, signal.default_int_handler)
try:
    from graph_server.cli import main

    sys.exit(main())
except KeyboardInterrupt:
    sys.exit(130)
