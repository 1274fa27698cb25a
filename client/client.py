"""``python client.py --input_stream 0 --output_stream screen``: the command line, from a checkout."""

import sys

from stream_client.cli import main

if __name__ == "__main__":
    sys.exit(main())
