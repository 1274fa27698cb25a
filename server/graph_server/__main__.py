"""``python -m graph_server``."""

import sys

from graph_server.cli import main

sys.exit(main())
