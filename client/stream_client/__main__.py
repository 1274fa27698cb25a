"""``python -m stream_client``: the command line."""

import sys

from stream_client.cli import main

sys.exit(main())
