"""``python -m stream_client.benchmark``."""

import sys

from stream_client.benchmark.command import main

sys.exit(main())
