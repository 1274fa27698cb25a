"""``python client.py --input_stream 0 --output_stream screen``: the command line, from a checkout."""

import signal
import sys

# Ctrl-C while modules load ends the process without a word; after that main() sees to it.
signal.signal(signal.SIGINT, signal.SIG_DFL)

from stream_client.cli import main  # noqa: E402

signal.signal(signal.SIGINT, signal.default_int_handler)
sys.exit(main())
